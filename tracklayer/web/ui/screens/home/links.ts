// Where a figure of the ledger leads: to exactly the rows that it counts.

import type { Platform } from '../../lib/platforms'
import { iso, type Range } from './range'

export function deliveriesHref(range: Range, platform: Platform | null, narrowed: Record<string, string | string[]> = {}): string {
  const params = new URLSearchParams({ receivedSince: iso(range.since), receivedUntil: iso(range.until) })
  if (platform) params.set('platform', platform)
  for (const [name, value] of Object.entries(narrowed)) for (const one of [value].flat()) params.append(name, one)
  return `/deliveries?${params}`
}

export const waitingHref = (range: Range, platform: Platform | null) =>
  deliveriesHref(range, platform, { status: ['QUEUED', 'FAILED'], held: 'false' })

export const heldHref = (range: Range, platform: Platform | null) => deliveriesHref(range, platform, { held: 'true' })

export function eventsHref(range: Range, filteredAt: Platform | null = null): string {
  const params = new URLSearchParams({ since: iso(range.since), until: iso(range.until) })
  if (filteredAt) params.set('filteredAt', filteredAt)
  return `/events?${params}`
}
