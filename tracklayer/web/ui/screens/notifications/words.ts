// What alerts are called, and where the guide tells of them.

import type { AlertKind } from './notifications.gql'

const NAMES: Record<AlertKind, string> = {
  PLATFORM_DOWN: 'Platform down',
  QUEUE_BACKLOG: 'Queue backlog',
  TRACKING_STOPPED: 'Tracking stopped',
  DELIVERY_RATE_DROP: 'Delivery rate drop',
  EVENTS_REJECTED: 'Events rejected',
  MATCH_QUALITY_DROP: 'Match quality drop',
  LIKELY_DUPLICATES: 'Likely duplicates',
  VALUE_LOST: 'Value lost',
  EVENT_NAME_UNKNOWN: 'Event name unknown',
}
export const KINDS = Object.entries(NAMES) as [AlertKind, string][]

/** A kind that a newer server tells of has no name here yet. */
export function kindName(kind: AlertKind): string {
  return NAMES[kind] ?? kind
}

export const GUIDE = '/docs/alerts#the-kinds'
export const RULES = '/docs/alerts#how-it-is-judged'
export const LIFE = '/docs/alerts#the-life-of-an-alert'

/** The path of one of our guides; of anything else nothing. */
export function guidePath(url: string | null | undefined): string | null {
  try {
    const { pathname, hash } = new URL(url ?? '', location.origin)
    return pathname.startsWith('/docs/') ? pathname + hash : null
  } catch {
    return null
  }
}
