// One line a platform: how it is, and until when what waits must be gone. The worst comes first and stays where it is.

import { useState } from 'preact/hooks'

import { count, counted, latency, percent } from '../../lib/format'
import { factsOf, titleOf, type Platform } from '../../lib/platforms'
import { withParams } from '../../lib/router'
import { ago, duration, exactTime, now } from '../../lib/time'
import { Badge, DestinationMark } from '../../parts/Status'
import { Table, type Column } from '../../parts/Table'
import { MinuteTime } from '../../parts/Time'
import { deliveredShare, lost } from './Headline'
import { reasonsOf } from './Waterfall'
import type { HomeDestinationsQuery, LedgerFiguresFragment as Figures } from './home.gql'
import { deliveriesHref } from './links'
import type { Range } from './range'

type Destination = HomeDestinationsQuery['merchant']['destinations'][number]

interface Line {
  id: Platform
  found: Destination
  figures: Figures | null
}

const HOUR = 3_600_000
const MOST_ALERTS = 10 // that the API gives of one destination

/** The higher, the worse. */
function badness({ found, figures }: Line): number {
  const { standing, openAlerts, state } = found
  let points = 0
  for (const alert of openAlerts) points += alert.severity === 'CRITICAL' ? 400 : 150
  if (state === 'HELD') points += 500
  if (state === 'PAUSED') points += found.waiting > 0 ? 300 : 50
  if (standing.deadline) {
    const left = Date.parse(standing.deadline) - now.peek()
    points += left < HOUR ? 400 : left < 4 * HOUR ? 200 : 0
    if (left < 23 * HOUR) points += 20
  }
  const share = figures ? deliveredShare(figures) : null
  if (share !== null) points += (1 - share) * 100
  return points
}

export function Platforms({ destinations, rows, range }: { destinations: Destination[]; rows: Figures[]; range: Range }) {
  const lines = destinations.map((found) => ({
    id: found.platform,
    found,
    figures: rows.find((row) => row.platform === found.platform) ?? null,
  }))
  const worst = [...lines].sort((a, b) => badness(b) - badness(a) || titleOf(a.id).localeCompare(titleOf(b.id))).map((one) => one.id)
  const [order, setOrder] = useState<Platform[]>([])
  const isNew = order.length !== lines.length || lines.some((one) => !order.includes(one.id))
  const shown = isNew ? worst : order
  if (isNew && lines.length) setOrder(worst)
  const isOther = shown.join() !== worst.join()
  return (
    <>
      <Table
        label="Platforms, the worst first"
        asCards
        columns={columnsFor(range)}
        rows={shown.map((id) => lines.find((one) => one.id === id)!).filter(Boolean)}
        href={(line) => withParams({ platform: line.id })}
      />
      <div class="home-order" role="status">
        {isOther && (
          <button type="button" onClick={() => setOrder(worst)}>
            The order changed: show the worst first
          </button>
        )}
      </div>
    </>
  )
}

const columnsFor = (range: Range): Column<Line>[] => [
  { name: 'Platform', cell: (line) => titleOf(line.id) },
  { name: 'State', cell: (line) => <State line={line} /> },
  { name: 'What became of it', cell: (line) => <Share line={line} range={range} /> },
  {
    name: 'Waiting or held now',
    isNumber: true,
    cell: ({ id, found }) =>
      found.waiting ? <a href={`/deliveries?platform=${id}&status=QUEUED&status=FAILED`}>{count(found.waiting)}</a> : '0',
  },
  { name: 'Time left', cell: ({ found }) => <TimeLeft found={found} /> },
  { name: 'Caught up', isMinor: true, cell: ({ found }) => <Forecast found={found} /> },
  { name: 'Last delivered', cell: ({ found }) => <Last found={found} /> },
  {
    name: 'Median latency',
    isNumber: true,
    isMinor: true,
    cell: ({ figures }) =>
      figures?.latencyP50Ms == null ? (
        '–'
      ) : (
        <span title={figures.latencyP95Ms == null ? undefined : `95 of 100 within ${latency(figures.latencyP95Ms)}`}>
          {latency(figures.latencyP50Ms)}
        </span>
      ),
  },
]

function State({ line: { id, found } }: { line: Line }) {
  return (
    <div class="home-line">
      <a href={`/destinations/${id.toLowerCase()}`}>
        <DestinationMark state={found.state} />
      </a>
      {found.stateReason && <small>{found.stateReason}</small>}
      {found.openAlerts.map((alert) => (
        <a key={alert.id} href={`/notifications/${encodeURIComponent(alert.id)}`}>
          <Badge tone={alert.severity === 'CRITICAL' ? 'bad' : 'warn'}>Alert</Badge> {alert.title}
        </a>
      ))}
      {found.openAlerts.length >= MOST_ALERTS && (
        <a href={`/notifications?state=OPEN&platform=${id}`}>All open alerts of {titleOf(id)}</a>
      )}
    </div>
  )
}

const WIDTH = 1000

/** One bar that is all of what was to be delivered there. */
function Share({ line: { id, figures }, range }: { line: Line; range: Range }) {
  if (!figures || !figures.routed) return <span class="quiet">{figures?.filtered ? 'all filtered by name' : 'nothing came'}</span>
  const parts: [string, number, string][] = [
    ['delivered', figures.delivered, 'good'],
    ['waiting', figures.waiting, 'wait'],
    ['held', figures.held, 'warn'],
    ['dropped', lost(figures), 'bad'],
    ['left alone', figures.leftAlone, 'off'],
  ]
  const wanted = figures.routed - figures.leftAlone
  let at = 0
  const told = parts.filter(([, n]) => n).map(([name, n]) => `${count(n)} ${name}`)
  return (
    <a class="home-share" href={deliveriesHref(range, id)} title={[...told, ...reasonsOf(figures).map(([r, n]) => `${r}: ${count(n)}`)].join(', ')}>
      <svg viewBox={`0 0 ${WIDTH} 10`} preserveAspectRatio="none" aria-hidden="true">
        {parts.map(([name, n, tone]) => {
          const x = (at / figures.routed) * WIDTH
          at += n
          return n > 0 && <rect key={name} class={tone} x={Math.min(x, WIDTH - 8)} width={Math.max(8, (n / figures.routed) * WIDTH)} height="10" />
        })}
      </svg>
      <small>
        {wanted > 0 ? `${percent(figures.delivered / wanted)} delivered` : 'none to deliver'}
        {parts.slice(1).map(([name, n]) => n > 0 && `, ${count(n)} ${name}`)}
      </small>
    </a>
  )
}

/** How long what waits may still wait. */
function TimeLeft({ found: { platform, standing } }: { found: Destination }) {
  if (!standing.deadline || !standing.waitingSince) return <span class="quiet">nothing waits</span>
  const left = Date.parse(standing.deadline) - now.value
  const days = (factsOf(platform)?.maxEventAgeHours ?? 0) / 24
  const why =
    standing.givenUpBy === 'PLATFORM_AGE'
      ? `${titleOf(platform)} takes no event that is older${days >= 1 ? ` than ${counted(days, 'day')}` : ''}`
      : 'tried for 24 hours'
  const tone = left < HOUR ? 'bad' : left < 4 * HOUR ? 'warn' : 'off'
  return (
    <div class="home-line">
      <span title={`The first of what waits is given up at ${exactTime(standing.deadline)}: ${why}.`}>
        <Badge tone={tone}>{left > 0 ? `${duration(left)} left` : 'time is up'}</Badge>
      </span>
      <small class="quiet">
        oldest waits {duration(Math.max(0, now.value - Date.parse(standing.waitingSince)))}; {why}
      </small>
    </div>
  )
}

function Forecast({ found: { waiting, standing, state } }: { found: Destination }) {
  // 0.0 is read as the digits it was written with.
  const pace = `${Number(Number(standing.deliveredPerMinute).toFixed(1))} a minute of late`
  if (!waiting) return <span class="quiet" title={pace}>–</span>
  if (standing.emptyAt)
    return (
      <div class="home-line">
        <span title={`At this pace nothing waits at ${exactTime(standing.emptyAt)}.`}>{ago(standing.emptyAt)}</span>
        <small class="quiet">{pace}</small>
      </div>
    )
  return <span class="quiet">{state === 'ACTIVE' ? `not at this pace (${pace})` : 'when it is sent to again'}</span>
}

function Last({ found: { standing } }: { found: Destination }) {
  if (!standing.lastDeliveredAt) return <span class="quiet">none in 35 days</span>
  return <MinuteTime at={standing.lastDeliveredAt} />
}
