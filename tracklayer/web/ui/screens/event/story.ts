// What became of an event, as points on one axis that begins when it arrived.

import { counted, latency } from '../../lib/format'
import { duration } from '../../lib/time'
import { isLeftAlone } from '../../parts/Status'
import type { OneEventQuery } from './event.gql'

export type Event = NonNullable<OneEventQuery['event']>
export type Delivery = Event['deliveries'][number]
export type Attempt = Delivery['attemptLog'][number]

export const OUTCOMES: Record<string, string> = {
  ACKNOWLEDGED: 'acknowledged',
  REJECTED: 'refused',
  RATE_LIMITED: 'rate limited',
  CREDENTIALS_REFUSED: 'credentials refused',
  UNREACHABLE: 'not reached',
  UNKNOWN: 'no answer: it may have been taken',
}

/** 840 ms, 1.4 s, 3 min, 2 h 10 min */
export function length(ms: number): string {
  return ms < 60_000 ? latency(Math.max(0, Math.round(ms))) : duration(ms)
}

export interface Point {
  key: string
  delivery: Delivery
  /** NEXT: the attempt that is planned. DROPPED: it was given up, apart from an attempt. */
  outcome: Attempt['outcome'] | 'NEXT' | 'DROPPED'
  attempt: Attempt | null
  /** ms since the arrival, when it began and ended. */
  from: number
  to: number
}

const APART = 2000 // ms: what is given up sooner is given up by the attempt itself

/** The attempts of every platform and those that are planned, in the order of their ends. */
export function pointsOf(event: Event): Point[] {
  const arrival = Date.parse(event.receivedAt)
  const points: Point[] = []
  for (const delivery of event.deliveries) {
    delivery.attemptLog.forEach((attempt, index) => {
      const from = Date.parse(attempt.at) - arrival
      points.push({ key: `${delivery.id}/${index}`, delivery, outcome: attempt.outcome, attempt, from, to: from + attempt.durationMs })
    })
    if (delivery.droppedAt) {
      const at = Date.parse(delivery.droppedAt) - arrival
      const last = delivery.attemptLog.at(-1)
      const ended = last ? Date.parse(last.at) + last.durationMs - arrival : -APART
      if (at - ended >= APART) points.push({ key: `${delivery.id}/dropped`, delivery, outcome: 'DROPPED', attempt: null, from: at, to: at })
    }
    if (isWaiting(delivery) && delivery.nextRetryAt) {
      const at = Date.parse(delivery.nextRetryAt) - arrival
      points.push({ key: `${delivery.id}/next`, delivery, outcome: 'NEXT', attempt: null, from: at, to: at })
    }
  }
  return points.sort((one, other) => one.to - other.to)
}

export function isWaiting(delivery: Delivery): boolean {
  return delivery.status === 'QUEUED' || delivery.status === 'FAILED'
}

/** What became of it, in a sentence. */
export function finding(event: Event): string {
  if (!event.deliveries.length) return 'It goes to no platform.'
  const of = (status: (delivery: Delivery) => boolean) => event.deliveries.filter(status).length
  const delivered = of((one) => one.status === 'DELIVERED')
  const alone = of((one) => isLeftAlone(one.dropReason))
  const dropped = of((one) => one.status === 'DROPPED') - alone
  const waiting = of(isWaiting)
  const parts = [
    delivered && `${delivered} of ${counted(event.deliveries.length, 'platform')} took it`,
    waiting && `${waiting} ${waiting === 1 ? 'waits' : 'wait'}`,
    dropped && `${dropped} ${dropped === 1 ? 'was' : 'were'} given up`,
    alone && `${alone} ${alone === 1 ? 'was' : 'were'} left alone`,
  ].filter(Boolean)
  return `${parts.join(', ')}.`
}

export interface Scale {
  isLog: boolean
  /** 0 to 1, of ms since the arrival. */
  place: (ms: number) => number
  /** Where a line with words helps. */
  ticks: number[]
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000,
  7_200_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 604_800_000, 2_592_000_000, 7_776_000_000,
]
const DECADES = [1, 10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000, 2_592_000_000, 31_536_000_000]
const MOST_LINEAR = 40 // times the first step: more, and the first ones would fall together

/** Linear where all fits on it, or else logarithmic. `room`: px; a tick needs some. */
export function scaleOf(points: Point[], room: number): Scale {
  const offsets = points.flatMap((point) => [point.from, point.to]).filter((ms) => ms > 0)
  const span = Math.max(...offsets, 10) * 1.04
  const first = Math.max(1, Math.min(...offsets, span))
  const isLog = span / first > MOST_LINEAR
  const unit = first / 2
  const place = (ms: number) => {
    const inside = Math.min(span, Math.max(0, ms))
    return isLog ? Math.log1p(inside / unit) / Math.log1p(span / unit) : inside / span
  }
  const most = Math.max(1, Math.floor(room / 80))
  const wanted = isLog
    ? DECADES.filter((ms) => ms >= first / 2)
    : Array.from({ length: most }, (_, index) => (index + 1) * (STEPS.find((step) => span / step <= most) ?? span))
  const ticks: number[] = []
  let last = 0
  for (const ms of wanted) {
    const at = place(ms) * room
    if (ms > span || at - last < 64 || room - at < 24) continue
    ticks.push(ms)
    last = at
  }
  return { isLog, place, ticks }
}
