// One clock and one choice of zone for all times on a screen.

import { signal } from '@preact/signals'

export type Zone = 'local' | 'utc'

function kept(): Zone {
  try {
    return localStorage.getItem('zone') === 'utc' ? 'utc' : 'local'
  } catch {
    return 'local'
  }
}

export const zone = signal<Zone>(kept())

export function setZone(to: Zone): void {
  zone.value = to
  try {
    localStorage.setItem('zone', to)
  } catch {}
}

const TOLERATED_MS = 10_000 // a server that is busy dates its answers some seconds late
const STEADY_MS = 2000 // answers name whole seconds and take a while

/** How far this computer's clock is behind the server's, in ms, negative where it is ahead; 0 where they agree. */
export const behind = signal(0)

/** The time in ms by the server's clock, as events and deliveries are dated. */
export function clock(): number {
  return Date.now() + behind.peek()
}

/** The time, in ms; it moves once a second while the page is seen. */
export const now = signal(clock())
setInterval(() => {
  if (!document.hidden) now.value = clock()
}, 1000)

/** Learns the server's time of an answer that has just begun. `asked`: when it was asked, by this computer's clock. */
export function learnClock(answer: Response, asked: number): void {
  const dated = Date.parse(answer.headers.get('date') ?? '')
  if (Number.isNaN(dated)) return
  const came = Date.now()
  const isRight = dated > asked - TOLERATED_MS && dated < came + TOLERATED_MS
  const found = isRight ? 0 : dated + 500 - came
  if (found !== 0 && Math.abs(found - behind.peek()) < STEADY_MS) return
  behind.value = found
  now.value = clock()
}

const formats = new Map<string, Intl.DateTimeFormat>()

function format(kind: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = kind + zone.value
  let found = formats.get(key)
  if (!found) {
    found = new Intl.DateTimeFormat('en-GB', { ...options, ...(zone.value === 'utc' ? { timeZone: 'UTC' } : {}) })
    formats.set(key, found)
  }
  return found
}

const second = { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' } as const
const minute = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' } as const

/** 28 Nov 2026, 14:03:22 UTC */
export function exactTime(at: string | number): string {
  return `${format('s', second).format(new Date(at))} ${zoneName(at)}`
}

/** 28 Nov, 14:03 CET: where the zone is told nowhere near. */
export function minuteTime(at: string | number): string {
  return `${shortTime(at)} ${zoneName(at)}`
}

/** 28 Nov, 14:03 */
export function shortTime(at: string | number): string {
  return format('m', minute).format(new Date(at))
}

export function dayOf(at: string | number): string {
  return format('d', { day: 'numeric', month: 'short', year: 'numeric' }).format(new Date(at))
}

/** UTC, CET: as it is at a moment, since summers have their own. */
export function zoneName(at: string | number = clock()): string {
  if (zone.value === 'utc') return 'UTC'
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts(new Date(at))
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? 'local'
}

const steps: [number, string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** A length in two steps at most: 3 h 10 min. Under a second in ms. */
export function duration(ms: number): string {
  const length = Math.abs(ms)
  if (length < 1000) return `${Math.round(length)} ms`
  const index = steps.findIndex(([size]) => length >= size)
  const [size, name] = steps[index]!
  const whole = Math.floor(length / size)
  const next = steps[index + 1]
  const rest = next ? Math.floor((length - whole * size) / next[0]) : 0
  return next && rest && whole < 10 ? `${whole} ${name} ${rest} ${next[1]}` : `${whole} ${name}`
}

/** 3 min ago, in 4 h, just now. */
export function ago(at: string | number, from = now.value): string {
  const ms = from - new Date(at).getTime()
  if (Math.abs(ms) < 1500) return 'just now'
  return ms > 0 ? `${duration(ms)} ago` : `in ${duration(ms)}`
}
