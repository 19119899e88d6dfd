import { titleOf, type Platform } from '../../lib/platforms'

/** An event's page: whatever stands in its id. */
export function eventHref(eventId: string): string {
  // Browsers read a path's dots as steps.
  if (eventId === '.' || eventId === '..') return `/events?event=${eventId}`
  return `/events/${encodeURIComponent(eventId)}`
}

/** Google, of Google Ads; its other one is GA4. */
export function shortTitle(platform: Platform): string {
  return platform === 'GA4' ? platform : (titleOf(platform).split(' ')[0] ?? platform)
}

/** 90 days, of DAYS_90. */
export function retention(days: string): string {
  return `${days.replace(/\D/g, '')} days`
}
