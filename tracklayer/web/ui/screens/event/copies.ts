// The event as a call of the API: to send one like it, or to show it to somebody.

import { Digits, writeJson, type Json } from '../../lib/exact'
import { HIDDEN } from '../../lib/format'
import { fieldsOf } from './Stored'
import type { Event } from './story'

export const MUTATION = `mutation($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome
    event { eventId timesReceived }
    userErrors { field code message }
  }
}`

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function camelFields(value: Json): { [key: string]: Json } {
  return Object.fromEntries(Object.entries(fieldsOf(value)).map(([name, found]) => [camel(name), found]))
}

const MOST_DIGITS = 15 // that every program reads from a JSON number

/** Amounts with more digits as text, which is taken as well and loses none. */
function wholeAmounts(fields: { [key: string]: Json }): { [key: string]: Json } {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Digits && value.source.replace(/\D/g, '').length > MOST_DIGITS ? value.source : value,
    ]),
  )
}

/** `missing`: fields that are kept sealed, and so stand in no copy. */
export function inputOf(event: Event): { input: { [key: string]: Json }; missing: string[] } {
  const missing: string[] = []
  const user = camelFields(event.userData)
  for (const [name, value] of Object.entries(user)) {
    if (value === HIDDEN || (Array.isArray(value) && value.includes(HIDDEN))) {
      missing.push(name)
      delete user[name]
    }
  }
  const custom = wholeAmounts(camelFields(event.customData))
  if (Array.isArray(custom.contents)) custom.contents = custom.contents.map((line) => wholeAmounts(camelFields(line)))
  const device = camelFields(event.device)
  const input: { [key: string]: Json } = {
    eventName: event.eventName,
    eventId: event.eventId,
    occurredAt: event.occurredAt,
    actionSource: event.actionSource,
    ...(event.eventSourceUrl === null ? {} : { eventSourceUrl: event.eventSourceUrl }),
    userData: user,
    ...(Object.keys(custom).length ? { customData: custom } : {}),
    ...(Object.keys(device).length ? { device } : {}),
    consent: { ...event.consent },
  }
  return { input, missing }
}

export function asGraphQL(event: Event): string {
  return `${MUTATION}\n\n# Variables\n${writeJson({ input: inputOf(event).input })}`
}

/** For a shell: the key is a variable of it, and nothing in the body is the shell's to read. */
export function asCurl(event: Event): string {
  const body = writeJson({ query: MUTATION, variables: { input: inputOf(event).input } })
  return (
    `curl -sS ${location.origin}/graphql \\\n` +
    `  -H "Authorization: Bearer $API_KEY" \\\n` +
    `  -H 'Content-Type: application/json' \\\n` +
    `  --data-binary @- <<'JSON'\n${body}\nJSON`
  )
}
