// What befell deliveries, the worst first: how many, what to do, and the way to exactly those rows.

import { useEffect, useState } from 'preact/hooks'

import { moment, useAsk, usePage, type Asked } from '../../lib/ask'
import { count, words } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { titleOf, type Platform } from '../../lib/platforms'
import { withParams } from '../../lib/router'
import { clock } from '../../lib/time'
import { Action } from '../../parts/Action'
import { Fresh } from '../../parts/List'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { DeliveryMark, isLeftAlone } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { DeliveryGroups, DroppedByReason, type DeliveryFilter, type DeliveryGroupsQuery } from './deliveries.gql'
import { idOf, isEmpty, linkTo, within, type Kind } from './filter'

type Group = DeliveryGroupsQuery['deliveryGroups'][number]
type Destination = DeliveryGroupsQuery['merchant']['destinations'][number]

/** What one does the same about: what a destination holds back or a platform puts off; one code of one platform; one reason of TrackLayer's own,
 * on whichever platforms. */
interface Card {
  id: string
  groups: Group[]
}

const AT_FIRST = 6
const LOOKED_AT = 1000 // of a group at most, as the API says of `isExact`
const EVERY_MS = 10_000
const LEDGER_EVERY_MS = 30_000

/** Whether the platform's code says more than the reason does. */
function isOwnCode(group: Group): boolean {
  return group.code !== null && group.code !== group.dropReason
}

/** `slowed`: platforms that put some of their queue off, by which all of it waits. */
function cardOf(group: Group, slowed: ReadonlySet<Platform>): string {
  if (group.held) return `held/${group.platform}`
  if (group.status === 'QUEUED' && slowed.has(group.platform)) return `QUEUED/${group.platform}`
  if (isOwnCode(group) || group.status === 'FAILED') return idOf(group)
  return `${group.status}/${group.dropReason ?? ''}`
}

function pick(data: DeliveryGroupsQuery) {
  const cards = new Map<string, Card>()
  const slowed = new Set(data.deliveryGroups.filter((one) => one.status === 'QUEUED' && isOwnCode(one)).map((one) => one.platform))
  for (const group of data.deliveryGroups) {
    const id = cardOf(group, slowed)
    const card = cards.get(id)
    if (card) card.groups.push(group)
    else cards.set(id, { id, groups: [group] })
  }
  return { nodes: [...cards.values()], pageInfo: { hasNextPage: false, endCursor: null } }
}

export function Groups({
  filter,
  redeliver,
  turn,
  settle,
}: {
  filter: DeliveryFilter
  redeliver: (filter: DeliveryFilter, about: string) => void
  /** Counts what was done, after which groups are asked for anew. */
  turn: number
  /** Told whether all that stands here is there, or failed: what stands below moves no more. */
  settle: (isSettled: boolean) => void
}) {
  // The order of the first look stays: what grows or shrinks does so in its place.
  const page = usePage(DeliveryGroups, { filter }, pick, { every: EVERY_MS })
  const [all, setAll] = useState(false)
  useEffect(() => {
    if (turn) page.again()
  }, [turn])
  const data = page.data as DeliveryGroupsQuery | null
  const present = new Set(data ? pick(data).nodes.map((card) => card.id) : [])
  const destinations = new Map(data?.merchant.destinations.map((one) => [one.platform, one]))
  const dropped = useDropped(filter, page.rows.some((card) => card.groups.some((one) => one.dropReason && !one.isExact)))
  const seen = all ? page.rows : page.rows.slice(0, AT_FIRST)
  const isUnneeded = Boolean(filter.status?.length) && filter.status!.every((status) => status === 'DELIVERED')
  const isSettled = isUnneeded || page.error !== null || (!page.isStale && !dropped.isAsking)
  useEffect(() => settle(isSettled), [isSettled])
  if (isUnneeded) return null
  return (
    <Section title="What happened, the worst first" actions={page.fresh > 0 && <Fresh page={page} what="group" />}>
      <ErrorNotice error={page.error ?? dropped.error} again={page.error ? page.again : dropped.again} />
      {!data && !page.error && <Loading />}
      {data && !page.isStale && !page.rows.length && (
        <Empty title={nothing(filter)}>
          {!isEmpty(filter) && <p>Clear the filters above to see the rest.</p>}
        </Empty>
      )}
      {filter.errorContains && page.rows.length > 0 && (
        <p class="quiet">Counted among the newest {count(LOOKED_AT)} of each kind; the rows below are searched further.</p>
      )}
      <ul class={`delivery-groups ${page.isStale ? 'stale' : ''}`} aria-busy={page.isStale}>
        {seen.map((card) => (
          <Line
            key={card.id}
            card={card}
            filter={filter}
            isGone={!page.isStale && !present.has(card.id)}
            destination={destinations.get(card.groups[0]!.platform)}
            inAll={dropped.inAll}
            redeliver={redeliver}
          />
        ))}
      </ul>
      {page.rows.length > AT_FIRST && (
        <button type="button" class="plain" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Show fewer groups' : `Show all ${page.rows.length} groups`}
        </button>
      )}
    </Section>
  )
}

/** The words of an error are looked for in a bounded number of each group: nothing found there is not nothing at all. */
function nothing(filter: DeliveryFilter): string {
  if (isEmpty(filter)) return 'Nothing waits, failed or was dropped.'
  if (filter.errorContains) return `None of the newest ${count(LOOKED_AT)} of each kind has these words in its error.`
  return 'Nothing of that waits, failed or was dropped.'
}

interface Dropped {
  /** Of which time, in words. */
  when: string
  of: (platforms: Platform[], reason: string) => number
}

const DAYS = 30
const ANSWERED_BY_LEDGER = new Set(['platform', 'status', 'dropReason', 'receivedSince', 'receivedUntil', 'errorCode', 'held'])

/** How many were dropped, by the ledger, which counts to the end: of the time of arrival that is asked for, or of a month. */
function useDropped(filter: DeliveryFilter, isWanted: boolean): Pick<Asked<unknown>, 'error' | 'again'> & { inAll: Dropped | null; isAsking: boolean } {
  const when = isWanted && Object.keys(filter).every((name) => ANSWERED_BY_LEDGER.has(name))
  const hour = Math.floor(moment.value / 3_600_000 + 1) * 3_600_000
  const until = filter.receivedUntil ?? new Date(hour).toISOString()
  const since = filter.receivedSince ?? new Date(Date.parse(until) - DAYS * 86_400_000).toISOString()
  const asked = useAsk(DroppedByReason, { since, until }, { every: LEDGER_EVERY_MS, when })
  const { data, again } = asked
  const error = when ? asked.error : null
  if (!data || !when) return { inAll: null, isAsking: when && !error, error, again }
  const inAll = {
    when: filter.receivedSince ? 'of events that arrived in these days' : `of events that arrived in ${DAYS} days`,
    of: (platforms: Platform[], reason: string) =>
      data.ledger.whole
        .filter((row) => row.platform && platforms.includes(row.platform))
        .reduce((sum, row) => sum + Number((row.dropReasons as Record<string, number>)[reason.toLowerCase()] ?? 0), 0),
  }
  return { inAll, isAsking: false, error, again }
}

function toneOf(group: Group): string {
  if (group.status === 'DROPPED') return group.dropReason === 'CONSENT_DENIED' || isLeftAlone(group.dropReason) ? 'off' : 'bad'
  return group.status === 'FAILED' || group.held || group.code ? 'warn' : 'off'
}

/** What the rows of a card share: the filter that finds them. */
function kindOf(card: Card): Kind {
  const [group] = card.groups as [Group]
  const platform = card.groups.every((one) => one.platform === group.platform) ? group.platform : null
  if (group.held) return { platform, status: null, held: true, dropReason: null, code: undefined }
  const isAny = group.status === 'QUEUED' && card.groups.some((one) => one.code !== group.code)
  return { platform, status: group.status, held: null, dropReason: group.dropReason, code: isAny ? undefined : (group.code ?? '') }
}

/** Whether a filter leaves all that waits for a destination together. */
function isOfAll(filter: DeliveryFilter): boolean {
  return Object.keys(filter).every((name) => name === 'platform' || name === 'held')
}

const ofPlatform = (card: Card, platform: Platform): Kind => ({ ...kindOf(card), platform })

function Line({
  card,
  filter,
  isGone,
  destination,
  inAll,
  redeliver,
}: {
  card: Card
  filter: DeliveryFilter
  isGone: boolean
  destination: Destination | undefined
  inAll: Dropped | null
  redeliver: (filter: DeliveryFilter, about: string) => void
}) {
  const [group] = card.groups as [Group]
  const kind = kindOf(card)
  const href = withParams(linkTo(kind))
  // What a destination holds back is counted, where nothing narrows it further.
  const held = group.held && isOfAll(filter) ? destination?.waiting : undefined
  const total = held ?? card.groups.reduce((sum, one) => sum + one.count, 0)
  const isExact = held !== undefined || card.groups.every((one) => one.isExact)
  const told = card.groups.find((one) => one.explanation) ?? group
  const where = [...new Set(card.groups.map((one) => one.platform))]
  const newest = card.groups.map((one) => one.newestQueuedAt).sort().at(-1)!
  const oldest = card.groups.map((one) => one.oldestQueuedAt).sort()[0]!
  const about = [
    where.length === 1 ? titleOf(group.platform) : `${where.length} platforms`,
    group.held ? 'held' : group.dropReason ? words(group.dropReason).toLowerCase() : group.status === 'FAILED' ? 'retrying' : 'queued',
    ...(isOwnCode(group) && !group.held ? [group.code] : []),
  ].join(', ')
  return (
    <li class={toneOf(group)}>
      <div class="figure">
        <a href={href}>
          <strong>{isGone ? 0 : count(total)}</strong>
          <span>
            {isGone ? 'left' : isExact ? (total === 1 ? 'delivery' : 'deliveries') : 'or more'}
            <span class="unseen">: {about}</span>
          </span>
        </a>
        {!isExact && group.status !== 'DROPPED' && where.length === 1 && destination && (
          <span class="quiet">{count(destination.waiting)} wait in all</span>
        )}
      </div>
      <div class="told">
        <h3>
          {where.length === 1 ? titleOf(group.platform) : `${where.length} platforms`}
          <DeliveryMark status={group.status} held={group.held} reason={group.dropReason} />
          {group.dropReason && <span>{words(group.dropReason)}</span>}
          {isOwnCode(group) && !group.held && <code>{group.code}</code>}
        </h3>
        <p>{group.whatToDo}</p>
        {group.held && destination?.stateReason && <p class="quiet">{destination.stateReason}</p>}
        {isOwnCode(told) && told.explanation && (
          <p class="quiet">
            {told.explanation.summary} {told.explanation.nextStep}
          </p>
        )}
        {!isExact && group.dropReason && inAll && (
          <p class="quiet">
            {words(group.dropReason)}, whatever the code, {inAll.when}: {count(inAll.of(where, group.dropReason))} exactly.
          </p>
        )}
        {where.length > 1 && (
          <p class="chips">
            {card.groups.map((one) => (
              <a key={idOf(one)} class="badge off" href={withParams(linkTo(ofPlatform(card, one.platform)))}>
                {titleOf(one.platform)} {count(one.count)}
                {one.isExact ? '' : ' or more'}
              </a>
            ))}
          </p>
        )}
        <details>
          <summary>
            Newest <Time at={newest} />, oldest <Time at={oldest} />: more
          </summary>
          {!isOwnCode(told) && told.explanation && (
            <p>
              {told.explanation.summary} {told.explanation.nextStep}
            </p>
          )}
          {told.explanation?.field && (
            <p>
              It is about the field <code>{told.explanation.field}</code>.
            </p>
          )}
          {card.groups.slice(0, 10).map((one) => (
            <p key={idOf(one)}>
              {where.length > 1 && `${titleOf(one.platform)}: `}
              {one.exampleError && <q>{one.exampleError}</q>} Seen at{' '}
              <a class="event-id" href={eventHref(one.exampleEventId)}>
                {one.exampleEventId}
              </a>
              .
            </p>
          ))}
          {where.length === 1 && told.explanation?.docsUrl && (
            <p>
              <a href={pathOf(told.explanation.docsUrl)}>How {titleOf(group.platform)} works</a>
            </p>
          )}
        </details>
      </div>
      <div class="do">
        <a class="button" href={href}>
          Show them<span class="unseen">: {about}</span>
        </a>
        {card.groups.some((one) => one.mayRedeliver) && !group.held && !isGone && (
          <Action scope="ADMIN" run={() => redeliver(within(filter, kind), about)}>
            Redeliver …<span class="unseen">: {about}</span>
          </Action>
        )}
        {group.held && (
          <a class="button" href={`/destinations/${group.platform.toLowerCase()}`}>
            Destination<span class="unseen">: {titleOf(group.platform)}</span>
          </a>
        )}
      </div>
    </li>
  )
}

/** The page on this server, whatever its public address is. */
function pathOf(url: string): string {
  try {
    return new URL(url).pathname
  } catch {
    return '/docs'
  }
}
