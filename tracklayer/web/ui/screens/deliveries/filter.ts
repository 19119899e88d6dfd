// The filters of this screen: parameters of the address, named as DeliveryFilter names them.

import type { Json } from '../../lib/exact'
import { words } from '../../lib/format'
import { KEYS, titleOf, type Platform } from '../../lib/platforms'
import { choice, choices, instant, param } from '../../lib/router'
import { minuteTime } from '../../lib/time'
import type { DeliveryFilter, DeliveryStatus, DropReason } from './deliveries.gql'

export const STATUSES: [DeliveryStatus, string][] = [
  ['QUEUED', 'Queued'],
  ['FAILED', 'Retrying'],
  ['DROPPED', 'Dropped'],
  ['DELIVERED', 'Delivered'],
]

/** Every one there is: one that is not listed would be no filter, and what Home counts by it would lead to all deliveries. */
export const REASONS = (
  Object.keys({
    RETRIES_EXHAUSTED: true,
    WINDOW_EXPIRED: true,
    UNSUPPORTED_EVENT: true,
    MISSING_IDENTIFIERS: true,
    INVALID_FIELD: true,
    EVENT_TOO_OLD: true,
    CONSENT_DENIED: true,
    DESTINATION_REMOVED: true,
    ERASED: true,
    SUPPRESSED: true,
  } satisfies Record<DropReason, true>) as DropReason[]
).map((reason): [DropReason, string] => [reason, words(reason)])

/** In the address, a group without a code: an empty parameter would be none. */
export const NO_CODE = '-'

/** Parameters of the address that are no filters of rows. */
export const KEPT = ['job', 'of', 'stored', 'jobsAfter']

/** What the address asks for. Whatever is not understood counts as not given. */
export function filterHere(): DeliveryFilter {
  const code = param('errorCode')
  const found: Record<string, unknown> = {
    platform: choice('platform', KEYS),
    status: choices('status', STATUSES.map(([status]) => status)),
    dropReason: choices('dropReason', REASONS.map(([reason]) => reason)),
    queuedSince: instant('queuedSince'),
    queuedUntil: instant('queuedUntil'),
    receivedSince: instant('receivedSince'),
    receivedUntil: instant('receivedUntil'),
    held: param('held') === 'true' ? true : param('held') === 'false' ? false : null,
    errorContains: param('errorContains'),
    errorCode: code === NO_CODE ? '' : code,
  }
  return Object.fromEntries(
    Object.entries(found).filter(([, value]) => value != null && !(Array.isArray(value) && !value.length)),
  ) as DeliveryFilter
}

export function isEmpty(filter: DeliveryFilter): boolean {
  return Object.keys(filter).length === 0
}

/** What deliveries share that are shown as one. A `code` of '' is none, of undefined any. */
export interface Kind {
  platform: Platform | null
  status: DeliveryStatus | null
  held: boolean | null
  dropReason: DropReason | null
  code: string | undefined
}

export function idOf(group: { platform: Platform; status: DeliveryStatus; dropReason: DropReason | null; code: string | null }): string {
  return [group.platform, group.status, group.dropReason ?? '', group.code ?? ''].join('/')
}

/** The filter of what is of a kind, within what is asked for already. */
export function within(filter: DeliveryFilter, kind: Kind): DeliveryFilter {
  return {
    ...filter,
    ...(kind.platform ? { platform: kind.platform } : {}),
    ...(kind.status ? { status: [kind.status] } : {}),
    ...(kind.held !== null ? { held: kind.held } : {}),
    ...(kind.dropReason ? { dropReason: [kind.dropReason] } : {}),
    ...(kind.code !== undefined ? { errorCode: kind.code } : {}),
  }
}

/** The same as changes of the address. */
export function linkTo(kind: Kind): Record<string, string | string[] | null> {
  return {
    after: null,
    ...(kind.platform ? { platform: kind.platform } : {}),
    ...(kind.status ? { status: [kind.status] } : {}),
    ...(kind.held !== null ? { held: String(kind.held) } : {}),
    ...(kind.dropReason ? { dropReason: [kind.dropReason] } : {}),
    ...(kind.code !== undefined ? { errorCode: kind.code || NO_CODE } : {}),
  }
}

/** A filter in words, as a job tells by what it chose. */
export function inWords(filter: Json): string[] {
  if (filter === null || typeof filter !== 'object' || Array.isArray(filter)) return []
  const told: string[] = []
  const given = Object.entries(filter)
  const reasons = given.flatMap(([name, value]) => (name === 'dropReason' ? value : []))
  for (const [name, value] of given) {
    const list = (Array.isArray(value) ? value : [value]).map(String)
    if (name === 'platform' || name === 'platforms') told.push(list.map((one) => titleOf(one as Platform)).join(', '))
    else if (name === 'status') told.push(list.map((one) => STATUSES.find(([status]) => status === one)?.[1] ?? one).join(' or '))
    else if (name === 'held') told.push(value ? 'held' : 'not held')
    else if (name === 'errorCode' && reasons.includes(list[0]!)) continue
    else if (name === 'errorCode') told.push(list[0] ? `code ${list[0]}` : 'without a code')
    else if (name === 'errorContains') told.push(`error with “${list[0]}”`)
    else if (name === 'eventIdPrefix') told.push(`event ids that begin with ${list[0]}`)
    else if (name === 'eventName') told.push(list.join(', '))
    else if (/(Since|Until)$/.test(name)) {
      const [what, edge] = [name.slice(0, -5), name.slice(-5)]
      told.push(`${what} ${edge === 'Since' ? 'from' : 'before'} ${minuteTime(list[0]!)}`)
    } else told.push(list.map(words).join(' or '))
  }
  return told
}
