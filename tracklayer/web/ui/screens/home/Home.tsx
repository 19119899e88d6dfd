// Home: what became of every event, how each platform is, and what is to be done about it.

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'

import { moment, useAsk } from '../../lib/ask'
import { count, counted, percent } from '../../lib/format'
import { KEYS, titleOf, type Platform } from '../../lib/platforms'
import { choice, param, setParams, withParams } from '../../lib/router'
import { clock, exactTime, minuteTime } from '../../lib/time'
import { Chart } from '../../parts/Chart'
import { isInstant, NotUnderstood, oneOf, TimeRange } from '../../parts/Filters'
import { LiveSwitch } from '../../parts/List'
import { Empty, ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Page, Section } from '../../parts/Page'
import { FirstRun, curl } from './FirstRun'
import { Headline } from './Headline'
import { Platforms } from './Platforms'
import { Advice, Refused } from './Troubles'
import { Waterfall } from './Waterfall'
import {
  EverCounted,
  FirstRun as FirstRunAsked,
  HomeBefore,
  HomeDestinations,
  HomeLedger,
  type HomeLedgerQuery,
  type LedgerFiguresFragment as Figures,
} from './home.gql'
import { DEFAULT, NAMES, before, iso, rangeAt, stepAt, stepsOf, type Range } from './range'
import './home.css'

const LIVE_MS = 10_000
const FIRST_RUN_MS = 2000
const DAY_MS = 86_400_000

const PARAMETERS = { range: oneOf(NAMES), platform: oneOf(KEYS), since: isInstant, until: isInstant }

export function Home() {
  return (
    <Page title="Home" actions={<LiveSwitch />}>
      <Begin>
        <RangeChoice />
        <NotUnderstood known={PARAMETERS} />
        <InRange />
      </Begin>
    </Page>
  )
}

/** The first run, as long as no event ever came, instead of the rest; and above it, until one goes on. That none is stored
 * does not say so: all may have been refused, or erased. */
function Begin({ children }: { children: ComponentChildren }) {
  const [isFirst, setFirst] = useState<boolean | null>(null)
  const every = isFirst ? FIRST_RUN_MS : 0
  const asked = useAsk(FirstRunAsked, {}, { every, when: isFirst !== false })
  const isStored = asked.data && asked.data.events.nodes.length > 0
  const ever = useAsk(EverCounted, useMemo(lastYear, []), { every, when: isFirst !== false && isStored === false })
  const command = useMemo(() => curl(location.origin, new Date(clock())), [])
  const all = ever.data && rowOf(ever.data.ledger.whole, null)
  const came = isStored || !all ? isStored : all.eventsAccepted + all.eventsCoalesced + all.eventsRejected > 0
  const isKnown = isStored || all !== null
  useEffect(() => {
    if (isFirst === null && isKnown) setFirst(!came)
  }, [isKnown])
  const error = <ErrorNotice error={isFirst === false ? null : (asked.error ?? ever.error)} again={(asked.error ? asked : ever).again} />
  if (isStored === false && !isKnown && !ever.error) return <Loading />
  if (!isFirst || !asked.data)
    return (
      <>
        {error}
        {children}
      </>
    )
  return (
    <>
      {error}
      <FirstRun found={asked.data} refused={all?.eventsRejected ?? 0} command={command} close={() => setFirst(false)} />
      {came && children}
    </>
  )
}

/** As long as the ledger tells at once, and some of what is to come: who begins may be at it for long. */
function lastYear() {
  const today = Math.floor(clock() / DAY_MS) * DAY_MS
  return { since: iso(today - 363 * DAY_MS), until: iso(today + 2 * DAY_MS) }
}

function RangeChoice() {
  const isCustom = param('since') !== null || param('until') !== null
  const chosen = choice('range', NAMES) ?? DEFAULT
  return (
    <div class="home-range">
      <nav aria-label="Time">
        {NAMES.map((name) => (
          <a
            key={name}
            class="button"
            href={withParams({ range: name === DEFAULT ? null : name, since: null, until: null })}
            aria-current={!isCustom && name === chosen ? 'true' : undefined}
          >
            {name.replace(/(\d+)/, '$1 ')}
          </a>
        ))}
      </nav>
      <details open={isCustom}>
        <summary>From, to</summary>
        <div class="filters">
          <TimeRange />
        </div>
      </details>
    </div>
  )
}

function InRange() {
  const range = rangeAt(moment.value)
  if (typeof range === 'string') return <Notice tone="warn">{range}</Notice>
  return (
    <>
      {range.name === null && <Counted range={range} />}
      <Figured range={range} />
    </>
  )
}

const wholes = { MINUTE: 'minutes', HOUR: 'hours', DAY: 'days of UTC' }

/** The time that is counted. Where it is wider than what was asked for, it says so, and the fields hold it from then on. */
function Counted({ range }: { range: Range }) {
  const key = `${param('since')} ${param('until')}`
  const [widened, setWidened] = useState<string | null>(null)
  useEffect(() => {
    if (!range.isWidened) return
    const edges = { since: iso(range.since), until: range.isRunning ? param('until') : iso(range.until) }
    setWidened(`${edges.since} ${edges.until}`)
    setParams(edges, { replace: true })
  }, [key, range.isWidened])
  const told = `Counted from ${exactTime(range.since)} to ${range.isRunning ? 'now' : exactTime(range.until)}`
  return (
    <p class={widened === key ? undefined : 'quiet'} role="status">
      {told}
      {widened === key ? `: in whole ${wholes[range.bucket]}, as a time that is so long, or so long ago, is not counted more finely.` : '.'}
    </p>
  )
}

const NOTHING: Omit<Figures, 'platform'> = {
  eventsAccepted: 0,
  eventsCoalesced: 0,
  eventsRejected: 0,
  filtered: 0,
  routed: 0,
  delivered: 0,
  leftAlone: 0,
  waiting: 0,
  held: 0,
  dropped: 0,
  dropReasons: {},
  purged: 0,
  balanced: true,
  latencyP50Ms: null,
  latencyP95Ms: null,
}

function rowOf<Row extends Partial<Figures>>(rows: Row[], platform: Platform | null): Row | Figures {
  return rows.find((row) => row.platform === platform) ?? { ...NOTHING, platform }
}

function Figured({ range }: { range: Range }) {
  const platform = choice('platform', KEYS)
  const past = before(range, moment.value)
  const asked = useAsk(
    HomeLedger,
    { since: iso(range.since), until: iso(range.until), bucket: range.bucket, platform },
    { every: range.every },
  )
  const earlier = useAsk(
    HomeBefore,
    past ? { since: iso(past.since), until: iso(past.until), bucket: past.bucket } : { since: '', until: '', bucket: 'DAY' },
    { when: past !== null },
  )
  const there = useAsk(HomeDestinations, {}, { every: LIVE_MS })
  const error = asked.error ?? there.error
  // What is compared stands above the platforms: it would push them down.
  const isEarly = past !== null && !earlier.data && !earlier.error
  if (!asked.data || !there.data || isEarly) return error ? <ErrorNotice error={error} again={(asked.error ? asked : there).again} /> : <Loading />
  const { ledger, rejections } = asked.data
  const { merchant } = there.data
  const all = rowOf(ledger.whole, null)
  const row = rowOf(ledger.whole, platform)
  const rows = past && earlier.data && !earlier.isStale ? earlier.data.ledger.whole : null
  const keys = KEYS.filter((key) => merchant.destinations.some((one) => one.platform === key) || ledger.whole.some((one) => one.platform === key))
  return (
    <div aria-busy={asked.isStale}>
      <ErrorNotice error={error ?? earlier.error} again={() => [asked, there, earlier].forEach((one) => one.error && one.again())} />
      <Headline row={row} past={rows && rowOf(rows, platform)} range={range} />
      <Section title="Platforms" actions={<a href="/destinations">Destinations</a>}>
        {merchant.destinations.length ? (
          <Platforms destinations={merchant.destinations} rows={ledger.whole} range={range} />
        ) : (
          <Empty title="There is no destination yet.">
            <p>
              Events are stored and go nowhere. <a href="/destinations">Add a destination</a>.
            </p>
          </Empty>
        )}
      </Section>
      <Advice merchant={merchant} />
      <Section title="What became of every event" actions={<Choice keys={keys} chosen={platform} />}>
        {all.eventsAccepted + all.eventsRejected + all.eventsCoalesced > 0 ? (
          <Waterfall all={all} row={row} range={range} />
        ) : (
          <Empty title="No event arrived in this time.">
            <p>Choose a longer time above, or see whether what sends events does.</p>
          </Empty>
        )}
        <p>
          <a href={platform ? `/why?platform=${platform}` : '/why'}>Why does a platform show other numbers than these?</a>
        </p>
      </Section>
      <Refused rows={rejections} total={all.eventsRejected} />
      <Charts series={ledger.series} platform={platform} range={range} />
    </div>
  )
}

function Choice({ keys, chosen }: { keys: Platform[]; chosen: Platform | null }) {
  return (
    <nav class="home-choice" aria-label="Of which platform">
      {[null, ...keys].map((key) => (
        <a key={key} class="button" href={withParams({ platform: key })} aria-current={key === chosen ? 'true' : undefined}>
          {key ? titleOf(key) : 'All'}
        </a>
      ))}
    </nav>
  )
}

const stepWords = { MINUTE: 'minute', HOUR: 'hour', DAY: '24 hours' }

type SeriesRow = HomeLedgerQuery['ledger']['series'][number]

/** By the steps of the chart, the buckets in each added up. */
function bySteps(series: SeriesRow[], range: Range): Map<number, SeriesRow> {
  const found = new Map<number, SeriesRow>()
  for (const row of series) {
    const at = stepAt(range, Date.parse(row.bucketStart))
    const sum = found.get(at)
    found.set(
      at,
      sum
        ? {
            ...sum,
            eventsAccepted: sum.eventsAccepted + row.eventsAccepted,
            eventsRejected: sum.eventsRejected + row.eventsRejected,
            routed: sum.routed + row.routed,
            delivered: sum.delivered + row.delivered,
            leftAlone: sum.leftAlone + row.leftAlone,
          }
        : row,
    )
  }
  return found
}

function Charts({ series, platform, range }: { series: HomeLedgerQuery['ledger']['series']; platform: Platform | null; range: Range }) {
  const tenth = Math.floor(moment.value / 10_000)
  const times = useMemo(() => stepsOf(range, moment.peek()), [range.since, range.until, range.step, tenth])
  const rows = useMemo(() => bySteps(series, range), [series, range.since, range.step])
  const events = times.map((at) => rows.get(at)?.eventsAccepted ?? 0)
  const refused = times.map((at) => rows.get(at)?.eventsRejected ?? 0)
  const share = times.map((at) => {
    const row = rows.get(at)
    const wanted = row ? row.routed - row.leftAlone : 0
    return row && wanted > 0 ? row.delivered / wanted : null
  })
  const known = share.filter((one) => one !== null)
  const most = Math.max(0, ...events)
  const least = known.length ? Math.min(...known) : null
  const step = range.bucket === 'DAY' ? 'day (UTC)' : stepWords[range.step]
  const name = platform ? titleOf(platform) : null
  return (
    <div class="home-charts">
      <Section title={name ? `Events for ${name}` : 'Events'}>
        <Chart
          title={`By ${step}.`}
          finding={
            most
              ? `At most ${counted(most, 'event')}, from ${minuteTime(times[events.indexOf(most)]!)} on${
                  refused.some(Boolean) ? `; ${count(refused.reduce((a, b) => a + b, 0))} refused in all` : ''
                }.`
              : 'No event in this time.'
          }
          times={times}
          series={[
            { name: name ? 'offered' : 'new events', values: events, color: '--accent', isBars: true },
            ...(refused.some(Boolean) ? [{ name: 'refused', values: refused, color: '--bad', isDashed: true }] : []),
          ]}
          say={count}
        />
      </Section>
      <Section title="Delivered">
        <Chart
          title={`Share of what arrived in each ${step} that is delivered by now.`}
          finding={
            least === null
              ? 'Nothing was to be delivered in this time.'
              : `At least ${percent(least)}, at ${minuteTime(times[share.indexOf(least)]!)}. What just arrived may still wait.`
          }
          times={times}
          series={[{ name: 'delivered', values: share, color: '--good', isBars: known.length < 3 }]}
          say={percent}
          max={1}
        />
      </Section>
    </div>
  )
}
