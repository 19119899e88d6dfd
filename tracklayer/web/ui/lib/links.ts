/** An event's page: whatever stands in its id. */
export function eventHref(eventId: string): string {
  // Browsers read a path's dots as steps.
  if (eventId === '.' || eventId === '..') return `/events?event=${eventId}`
  return `/events/${encodeURIComponent(eventId)}`
}
