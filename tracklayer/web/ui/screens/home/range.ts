// The time that Home is about: of the address, in whole buckets of the ledger, so that each figure is a list.

import { choice, param } from '../../lib/router'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export type Bucket = 'MINUTE' | 'HOUR' | 'DAY'

const sizes: Record<Bucket, number> = { MINUTE, HOUR, DAY }

export const NAMES = ['1h', '24h', '7d', '30d', '90d'] as const
export type Name = (typeof NAMES)[number]
export const DEFAULT: Name = '24h'

const named: Record<Name, { words: string; length: number; bucket: Bucket; every: number }> = {
  '1h': { words: 'hour', length: HOUR, bucket: 'MINUTE', every: 10_000 },
  '24h': { words: '24 hours', length: DAY, bucket: 'HOUR', every: 10_000 },
  '7d': { words: '7 days', length: 7 * DAY, bucket: 'HOUR', every: 20_000 },
  '30d': { words: '30 days', length: 30 * DAY, bucket: 'DAY', every: 60_000 },
  '90d': { words: '90 days', length: 90 * DAY, bucket: 'DAY', every: 60_000 },
}

export interface Range {
  /** null: from a time to a time. */
  name: Name | null
  words: string
  since: number
  until: number
  /** What it is counted in: both edges are edges of these. */
  bucket: Bucket
  /** What a chart shows at once, from `since` on. */
  step: Bucket
  /** Whether the address asks for edges that nothing is counted by, so that these are wider. */
  isWidened: boolean
  /** Whether it goes on. */
  isRunning: boolean
  /** How often it is asked again, in ms; 0: it is over and changes hardly. */
  every: number
}

// How long a time may be that is counted by these, and how far back: minutes are added up to hours when they are older.
const LONGEST: Record<Bucket, number> = { MINUTE: DAY, HOUR: 31 * DAY, DAY: 366 * DAY }
const MINUTES_KEPT = 35 * DAY - HOUR

const down = (at: number, bucket: Bucket) => Math.floor(at / sizes[bucket]) * sizes[bucket]
const up = (at: number, bucket: Bucket) => Math.ceil(at / sizes[bucket]) * sizes[bucket]

function instant(name: string): number | null {
  const at = Date.parse(param(name) ?? '')
  return Number.isNaN(at) ? null : at
}

/** What the address asks for at `now`, in ms; a sentence where that is no time. */
export function rangeAt(now: number): Range | string {
  const since = instant('since')
  const until = instant('until')
  if (since === null && until === null) {
    const name = choice('range', NAMES) ?? DEFAULT
    const { words, length, bucket, every } = named[name]
    const end = up(now, bucket)
    return {
      name,
      words,
      since: end - length,
      until: end,
      bucket,
      step: bucket,
      isWidened: false,
      isRunning: true,
      every,
    }
  }
  const isRunning = until === null || until > now
  const end = isRunning ? now : until
  const begin = since ?? down(end, isRunning ? 'HOUR' : 'MINUTE') - DAY
  if (begin >= end) return 'The time begins after it ends. Choose an earlier “From”.'
  if (end - begin > 365 * DAY) return 'That is more than a year. Choose a later “From”.'
  const length = end - begin
  const step: Bucket = length <= 6 * HOUR ? 'MINUTE' : length <= 14 * DAY ? 'HOUR' : 'DAY'
  // Nothing has arrived after now, so that the end of one that goes on is exact wherever it lies.
  const isExact = (one: Bucket) => down(begin, one) === begin && (isRunning || down(end, one) === end)
  const possible = bySize.filter((one) => canCount(one, begin, end, now))
  const exact = possible.find((one) => sizes[one] <= sizes[step] && isExact(one)) ?? possible.findLast(isExact)
  const bucket = exact ?? possible.at(-1)!
  return {
    name: null,
    words: 'time',
    since: down(begin, bucket),
    until: isRunning ? Math.min(up(now, bucket), until ?? Infinity) : up(end, bucket),
    bucket,
    step: sizes[step] < sizes[bucket] ? bucket : step,
    isWidened: exact === undefined,
    isRunning,
    every: isRunning ? 30_000 : 0,
  }
}

const bySize: Bucket[] = ['DAY', 'HOUR', 'MINUTE']

function canCount(bucket: Bucket, begin: number, end: number, now: number): boolean {
  return up(end, bucket) - down(begin, bucket) <= LONGEST[bucket] && (bucket !== 'MINUTE' || begin > now - MINUTES_KEPT)
}

/** As much time right before, as far as this one has come; null where that is not counted as exactly. */
export function before(range: Range, now: number): { since: number; until: number; bucket: Bucket } | null {
  const length = up(range.until, range.bucket) - range.since
  const since = range.since - length
  const bucket = bySize.findLast((one) => canCount(one, since, range.since, now))
  if (!bucket || sizes[bucket] > sizes[range.bucket]) return null
  const until = down(Math.min(range.until, now), bucket) - length
  return since < until ? { since, until, bucket } : null
}

export const iso = (at: number) => new Date(at).toISOString()

/** The beginnings of all that a chart shows, in ms. */
export function stepsOf(range: Range, now: number): number[] {
  const found: number[] = []
  for (let at = range.since; at < Math.min(range.until, now); at += sizes[range.step]) found.push(at)
  return found
}

/** Where a bucket is shown: the beginning of its step, in ms. */
export function stepAt(range: Range, at: number): number {
  return range.since + Math.floor((at - range.since) / sizes[range.step]) * sizes[range.step]
}
