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
  bucket: Bucket
  /** How often it is asked again, in ms; 0: it is over and changes hardly. */
  every: number
}

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
    return { name, words, since: end - length, until: end, bucket, every }
  }
  const end = Math.min(until ?? now, now)
  const begin = since ?? end - DAY
  if (begin >= end) return 'The time begins after it ends. Choose an earlier “From”.'
  if (end - begin > 365 * DAY) return 'That is more than a year. Choose a later “From”.'
  const length = end - begin
  const bucket: Bucket = length <= 6 * HOUR ? 'MINUTE' : length <= 14 * DAY ? 'HOUR' : 'DAY'
  const isOver = until !== null && until < now
  return { name: null, words: 'time', since: down(begin, bucket), until: up(end, bucket), bucket, every: isOver ? 0 : 30_000 }
}

/** As much time right before, as far as this one has come. */
export function before(range: Range, now: number): { since: number; until: number; bucket: Bucket } {
  const length = range.until - range.since
  const bucket: Bucket = length <= DAY ? 'MINUTE' : length <= 31 * DAY ? 'HOUR' : 'DAY'
  return { since: range.since - length, until: down(Math.min(range.until, now), bucket) - length, bucket }
}

export const iso = (at: number) => new Date(at).toISOString()

/** The beginnings of all buckets, in ms. */
export function bucketsOf(range: Range, now: number): number[] {
  const found: number[] = []
  for (let at = range.since; at < Math.min(range.until, now); at += sizes[range.bucket]) found.push(at)
  return found
}
