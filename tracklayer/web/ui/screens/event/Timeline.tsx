// One time axis for all platforms: from the arrival over every attempt to the acknowledgement. A table says the same.

import { useEffect, useRef, useState } from 'preact/hooks'

import { counted } from '../../lib/format'
import { titleOf } from '../../lib/platforms'
import { exactTime, now, shortTime } from '../../lib/time'
import { Mark, OutcomeMark } from '../../parts/Status'
import { shortTitle } from '../events/links'
import { isWaiting, length, OUTCOMES, pointsOf, scaleOf, type Delivery, type Event, type Point } from './story'

const LANE = 46
const TOP = 26
const SIDE = 12
const LABEL = 160 // px that the first words of the axis have
const TONES: Record<string, string> = {
  ACKNOWLEDGED: 'good',
  REJECTED: 'bad',
  CREDENTIALS_REFUSED: 'bad',
  RATE_LIMITED: 'wait',
  UNREACHABLE: 'warn',
  UNKNOWN: 'warn',
  NEXT: 'wait',
  DROPPED: 'bad',
}
// In a square of 16 around the point.
const SHAPES: Record<string, string> = {
  ACKNOWLEDGED: 'M-4 .5-1.2 3.3 4-3',
  REJECTED: 'M-3.2-3.2 3.2 3.2M3.2-3.2-3.2 3.2',
  CREDENTIALS_REFUSED: 'M-3.2-3.2 3.2 3.2M3.2-3.2-3.2 3.2',
  RATE_LIMITED: 'M-2-3.5V3.5M2-3.5V3.5',
  UNREACHABLE: 'M0-4V1M0 3.6V4',
  UNKNOWN: 'M-2.2-1.8C-2.2-4.6 2.4-4.6 2.2-1.8 2-.2 0-.2 0 1.4M0 3.8V4.2',
  NEXT: '',
  DROPPED: 'M-3.5 0H3.5',
}

export function wordsOf(point: Point): string {
  const title = titleOf(point.delivery.platform)
  if (point.outcome === 'DROPPED')
    return `${title}: given up ${length(point.to)} after the arrival, ${point.delivery.attemptLog.length ? 'between attempts' : 'before anything was sent'}. ${point.delivery.lastError ?? ''}`
  if (!point.attempt)
    return `${title}: the next attempt, ${length(point.to)} after the arrival${point.delivery.held ? '; its destination is held' : ''}.`
  const { number, outcome, httpStatus, error, note, durationMs, at } = point.attempt
  const answer = [httpStatus, error ?? note].filter(Boolean).join(' ')
  return (
    `${title}, attempt ${number}: ${OUTCOMES[outcome] ?? outcome} after ${length(durationMs)}, ` +
    `${length(point.from)} after the arrival (${exactTime(at)}).${answer ? ` ${answer}` : ''}`
  )
}

export function Timeline({ event }: { event: Event }) {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(640)
  const [at, setAt] = useState<string | null>(null)
  useEffect(() => {
    const place = box.current
    if (!place) return
    const observer = new ResizeObserver(() => setWidth(Math.max(240, place.clientWidth)))
    observer.observe(place)
    return () => observer.disconnect()
  }, [])

  const points = pointsOf(event)
  const room = width - 2 * SIDE
  const scale = scaleOf(points, room)
  const x = (ms: number) => SIDE + scale.place(ms) * room
  const lanes = event.deliveries
  const height = TOP + lanes.length * LANE + 4
  const current = points.find((point) => point.key === at) ?? null
  const stop = current?.key ?? points[0]?.key
  const step = (key: string, by: number) => {
    const index = points.findIndex((point) => point.key === key) + by
    const next = points[Math.min(points.length - 1, Math.max(0, index))]
    if (!next) return
    setAt(next.key)
    const found = [...(box.current?.querySelectorAll<SVGGElement>('[data-key]') ?? [])].find((one) => one.dataset.key === next.key)
    found?.focus()
  }

  if (!lanes.length) return null
  return (
    <figure class="timeline">
      <figcaption>
        <span class="quiet">
          From the arrival to each platform's answer. {scale.isLog && 'The axis is logarithmic: early moments have more room.'}
        </span>
      </figcaption>
      <div ref={box} class="timeline-box">
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label="What happened, from the arrival on. Arrow keys walk along the attempts.">
          <g class="axis" aria-hidden="true">
            <line x1={x(0)} x2={x(0)} y1={TOP - 8} y2={height} />
            <text x={x(0)} y={12} class="first">
              arrived {shortTime(event.receivedAt)}
            </text>
            {scale.ticks
              .filter((ms) => x(ms) > LABEL)
              .map((ms) => (
                <g key={ms}>
                  <line x1={x(ms)} x2={x(ms)} y1={TOP - 8} y2={height} class="tick" />
                  <text x={x(ms)} y={12} text-anchor="middle">
                    +{length(ms).replace('.0', '')}
                  </text>
                </g>
              ))}
          </g>
          {lanes.map((delivery, lane) => {
            const own = points.filter((point) => point.delivery.id === delivery.id)
            const y = TOP + lane * LANE
            const line = y + 29
            const done = own.filter((point) => point.outcome !== 'NEXT')
            const last = done.at(-1)
            const next = own.find((point) => point.outcome === 'NEXT')
            return (
              <g key={delivery.id}>
                <text x={SIDE + 6} y={y + 12} class="lane" aria-hidden="true">
                  {width < 480 ? shortTitle(delivery.platform) : titleOf(delivery.platform)}
                  <tspan class="lane-state"> {stateOf(delivery)}</tspan>
                </text>
                <g aria-hidden="true">
                  {last && <line class="rail" x1={x(0)} x2={x(last.to)} y1={line} y2={line} />}
                  {isWaiting(delivery) && (
                    <line class="rail ahead" x1={x(last?.to ?? 0)} x2={next ? x(next.to) : SIDE + room} y1={line} y2={line} />
                  )}
                  {done.map((point) => (
                    <line key={point.key} class={`took ${TONES[point.outcome]}`} x1={x(point.from)} x2={x(point.to)} y1={line} y2={line} />
                  ))}
                </g>
                {own.map((point) => (
                  <g
                    key={point.key}
                    data-key={point.key}
                    class={`point ${TONES[point.outcome] ?? 'off'} ${point.outcome === 'NEXT' ? 'ahead' : ''} ${point.key === at ? 'at' : ''}`}
                    transform={`translate(${Math.round(x(point.to))} ${line})`}
                    role="img"
                    aria-label={wordsOf(point)}
                    tabIndex={point.key === stop ? 0 : -1}
                    onFocus={() => setAt(point.key)}
                    onMouseEnter={() => setAt(point.key)}
                    onKeyDown={(event) => {
                      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -points.length, End: points.length }[event.key]
                      if (by === undefined) return
                      event.preventDefault()
                      step(point.key, by)
                    }}
                  >
                    {point.outcome === 'CREDENTIALS_REFUSED' || point.outcome === 'DROPPED' ? <rect x={-8} y={-8} width={16} height={16} rx={3} /> : <circle r={8} />}
                    <path d={SHAPES[point.outcome] ?? ''} />
                  </g>
                ))}
              </g>
            )
          })}
        </svg>
      </div>
      <p class="timeline-told" aria-live="polite">
        {current ? wordsOf(current) : points.length ? 'Point at a mark, or reach it with Tab and the arrow keys, to read what was answered.' : ''}
      </p>
      <Attempts event={event} points={points.filter((point) => point.outcome !== 'NEXT')} />
    </figure>
  )
}

function stateOf(delivery: Delivery): string {
  if (delivery.status === 'DELIVERED') return delivery.latencyMs === null ? 'delivered' : `delivered after ${length(delivery.latencyMs)}`
  if (delivery.status === 'DROPPED') return delivery.attempts ? `dropped after ${counted(delivery.attempts, 'attempt')}` : 'dropped before it was sent'
  if (delivery.held) return 'held by its destination'
  if (delivery.nextRetryAt) {
    const ms = Date.parse(delivery.nextRetryAt) - now.value
    return ms > 0 ? `next attempt in ${length(ms)}` : 'next attempt now'
  }
  return delivery.status === 'QUEUED' ? 'queued' : 'is tried again'
}

function Attempts({ event, points }: { event: Event; points: Point[] }) {
  const happened = Date.parse(event.receivedAt) - Date.parse(event.occurredAt)
  return (
    <details class="attempts">
      <summary>The same as a table: {counted(points.length + 1, 'line')}</summary>
      <div class="table as-cards" role="group" aria-label="Attempts" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col" class="number">
                Since arrival
              </th>
              <th scope="col">Platform</th>
              <th scope="col" class="number">
                Attempt
              </th>
              <th scope="col">Outcome</th>
              <th scope="col" class="number">
                Took
              </th>
              <th scope="col">Answer</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">{exactTime(event.receivedAt)}</th>
              <td class="number" data-name="Since arrival">
                0
              </td>
              <td colSpan={5}>
                Arrived{happened > 0 ? `, ${length(happened)} after it happened` : happened < 0 ? `, ${length(-happened)} before its own time` : ''}
              </td>
            </tr>
            {points.map(({ key, from, to, delivery, attempt }) => (
              <tr key={key}>
                <th scope="row">{exactTime(attempt?.at ?? delivery.droppedAt ?? '')}</th>
                <td class="number" data-name="Since arrival" title={`${from} ms`}>
                  {length(from)}
                </td>
                <td data-name="Platform">{titleOf(delivery.platform)}</td>
                <td class="number" data-name="Attempt">
                  {attempt?.number}
                </td>
                <td data-name="Outcome">{attempt ? <OutcomeMark outcome={attempt.outcome} /> : <Mark tone="bad" word="Given up" />}</td>
                <td class="number" data-name="Took" title={attempt ? `${attempt.durationMs} ms` : undefined}>
                  {attempt && length(to - from)}
                </td>
                <td class="words" data-name="Answer">{attempt ? [attempt.httpStatus, attempt.error ?? attempt.note].filter(Boolean).join(' ') : delivery.lastError}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  )
}
