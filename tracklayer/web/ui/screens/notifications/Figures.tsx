// The figures of an alert in words. What is not known here is shown as it came.

import type { ComponentChildren } from 'preact'

import { Digits, type Json } from '../../lib/exact'
import { amount, count, percent, words } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { KEYS, titleOf } from '../../lib/platforms'
import { duration } from '../../lib/time'
import { Facts } from '../../parts/Page'
import { Time } from '../../parts/Time'

type Show = (value: Json) => ComponentChildren
type Fields = { [key: string]: Json }

const causes: Record<string, string> = {
  unmappable: 'events that cannot be sent there',
  refused: 'the platform refuses them',
  credentials_refused: 'the platform refuses the credentials',
  server_error: 'the platform answers with errors',
  timed_out: 'requests time out',
  no_answer: 'the platform does not answer',
  unreachable: 'the platform cannot be reached',
  intercepted: 'something in between answers',
  unconfirmed: 'the answer confirms no event',
  rate_limited: 'the platform limits the rate',
  slow: 'the platform answers slowly',
  workers: 'too few workers',
  paused: 'the destination is paused',
  internal: 'a fault of TrackLayer',
}

/** Key -> what it is called, how it is written; null: it stands elsewhere on the page, or says nothing to a person. */
const known: Record<string, [string, Show] | null> = {
  since: null,
  strata: null,
  usual_silence_swallows: null,
  expected_minutes_with_events: null,
  cause: ['Cause', (value) => causes[String(value)] ?? plain(value)],
  reason: ['What TrackLayer noted', plain],
  last_error: ['What the platform said last', plain],
  drop_reason: ['Dropped for', (value) => words(String(value))],
  field: ['Field', code],
  example_event_id: ['An example', event],
  example_event_ids: ['Compare', (value) => list(value, event)],
  failures: ['Attempts that failed', number],
  failed: ['Failed', number],
  acknowledged: ['Accepted', number],
  unmappable: ['Could not be sent', number],
  waiting: ['Waiting', number],
  waiting_worth: ['Sales that wait', money],
  failing_worth: ['Sales tried in vain', money],
  lost_worth: ['Sales that are lost', money],
  success_rate: ['Accepted at the first attempt', share],
  usual_success_rate: ['Usually accepted', share],
  usual_failure_share: ['Usually failing at first', share],
  next_try_at: ['Next try', time],
  first_loss_at: ['The first is lost', time],
  oldest_late_seconds: ['The oldest is late by', seconds],
  arriving_per_second: ['Come in a minute', perMinute],
  leaving_per_second: ['Done with a minute', perMinute],
  clears_in_seconds: ['Empty in', seconds],
  platforms: ['Platforms', (value) => list(value, platform)],
  paused: ['The destination is paused', yes],
  refused: ['Refused', number],
  arrived: ['Arrived', number],
  refused_share: ['Share refused', share],
  usual_refused_share: ['Usually refused', share],
  causes: ['Refused for', (value) => list(value, refusal)],
  event_names: ['By name', counts],
  silent_seconds: ['Silent for', seconds],
  expected_events: ['Events usual in that time', number],
  rejected_since: ['Refused since', number],
  identifiers: ['Identifiers', (value) => list(value, identifier)],
  events: ['Events', number],
  action_sources: ['Where', (value) => list(value, plain)],
  hosts: ['On', (value) => list(value, plain)],
  instead_of_hosts: ['In place of', (value) => list(value, plain)],
  strong_share: ['With an email, phone, customer id or click id', share],
  usual_strong_share: ['Usually with one of these', share],
  denied_share: ['People who refuse consent', share],
  usual_denied_share: ['Usually refuse consent', share],
  lost: ['Missing', plain],
  without: ['Without it', number],
  zero: ['With the value 0', number],
  share: ['Still bring it', share],
  usual_share: ['Usually bring it', share],
  copies: ['Probably copies', number],
  conversions: ['Of so many conversions', number],
  largest: ['Most of one', number],
  orders: ['Orders under several event ids', number],
  is_certain: ['TrackLayer is sure', yes],
  worth: ['Counted too much', money],
  name: ['Arrives as', code],
  meant: ['Is called there', code],
  events_of_meant: ['Events under the right name', number],
  probability: ['Chance of that while all is well', chance],
}

/** What lies ahead of an outage, or waits in it: of none that is over. */
const RUNNING = [
  'waiting',
  'waiting_worth',
  'failing_worth',
  'next_try_at',
  'first_loss_at',
  'oldest_late_seconds',
  'clears_in_seconds',
]

/** `isOver`: what it tells of is. */
export function Figures({ details, isOver }: { details: Json; isOver: boolean }) {
  const fields = isFields(details) ? details : {}
  const rows: [string, ComponentChildren][] = []
  const order = [...Object.keys(known), ...Object.keys(fields).filter((key) => !Object.hasOwn(known, key))]
  for (const key of order) {
    const found = Object.hasOwn(known, key) ? known[key] : undefined
    const value = Object.hasOwn(fields, key) ? fields[key]! : null
    if (found === null || isNothing(value) || (isOver && RUNNING.includes(key))) continue
    rows.push(found ? [found[0], found[1](value)] : [key, plain(value)])
  }
  if (!rows.length) return <p class="quiet">There are none.</p>
  return <Facts rows={rows} />
}

function isFields(value: Json): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits)
}

function isNothing(value: Json): boolean {
  if (value === null || value === '') return true
  return Array.isArray(value) ? value.length === 0 : isFields(value) && Object.keys(value).length === 0
}

function plain(value: Json): string {
  return typeof value === 'string' ? value : value instanceof Digits ? value.source : JSON.stringify(value)
}

function code(value: Json) {
  return <code>{plain(value)}</code>
}

/** null: it is none. */
function numberOf(value: Json | undefined): number | null {
  if (typeof value === 'number') return value
  return value instanceof Digits ? Number(value.source) : null
}

function written(value: Json, write: (n: number) => string): string {
  const n = numberOf(value)
  return n === null || !Number.isFinite(n) ? plain(value) : write(n)
}

function number(value: Json) {
  return typeof value === 'number' || value instanceof Digits ? amount(value) : plain(value)
}

function share(value: Json) {
  return written(value, percent)
}

function seconds(value: Json) {
  return written(value, (n) => duration(n * 1000))
}

function perMinute(value: Json) {
  return written(value, (n) => count(Math.round(n * 60)))
}

function chance(value: Json) {
  return written(value, (n) => (n < 1e-9 ? 'less than one in a billion' : `one in ${count(Math.round(1 / n))}`))
}

function yes(value: Json) {
  return value === true ? 'yes' : value === false ? 'no' : plain(value)
}

function time(value: Json) {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? <Time at={value} exact /> : plain(value)
}

function event(value: Json) {
  const id = plain(value)
  return <a href={eventHref(id)}>{id}</a>
}

function platform(value: Json) {
  const key = KEYS.find((one) => one.toLowerCase() === value)
  return key ? <a href={`/destinations/${key.toLowerCase()}`}>{titleOf(key)}</a> : plain(value)
}

function list(value: Json, show: Show) {
  if (!Array.isArray(value)) return plain(value)
  if (value.length === 1) return show(value[0]!)
  return (
    <ul class="plain">
      {value.map((one, index) => (
        <li key={index}>{show(one)}</li>
      ))}
    </ul>
  )
}

function counts(value: Json) {
  if (!isFields(value)) return plain(value)
  return list(Object.entries(value).map(([name, n]) => `${name}: ${String(number(n))}`), plain)
}

function money(value: Json) {
  if (!isFields(value)) return plain(value)
  return list(Object.entries(value).map(([currency, worth]) => `${digits(worth)} ${currency}`), plain)
}

/** As they were written, also those of a text. */
function digits(value: Json): string {
  return amount(typeof value === 'number' || value instanceof Digits ? value : new Digits(plain(value)))
}

function refusal(value: Json) {
  if (!isFields(value)) return plain(value)
  const where = typeof value.field === 'string' && value.field ? value.field : null
  return (
    <>
      {where && <code>{where}</code>} {plain(value.code ?? '')}: {number(value.events ?? null)}
    </>
  )
}

function identifier(value: Json) {
  if (!isFields(value)) return plain(value)
  const users = Array.isArray(value.platforms) ? value.platforms.map(plain).join(', ') : ''
  return (
    <>
      <code>{plain(value.identifier ?? '')}</code> {share(value.share ?? null)} of {number(value.events ?? null)}, usually{' '}
      {share(value.usual_share ?? null)}
      {users && `; used by ${users}`}
    </>
  )
}
