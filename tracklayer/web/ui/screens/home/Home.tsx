// Home: what became of every event, how each platform is, and what is to be done about it.

import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { count, counted, percent } from '../../lib/format'
import { KEYS, titleOf, type Platform } from '../../lib/platforms'
import { choice, param, withParams } from '../../lib/router'
import { clock, now, shortTime } from '../../lib/time'
import { Chart } from '../../parts/Chart'
import { TimeRange } from '../../parts/Filters'
import { LiveSwitch } from '../../parts/List'
import { Empty, ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Page, Section } from '../../parts/Page'
import { FirstRun, curl } from './FirstRun'
import { Headline } from './Headline'
import { Platforms } from './Platforms'
import { Advice, Refused } from './Troubles'
import { Waterfall } from './Waterfall'
import {
  FirstRun as FirstRunAsked,
  HomeBefore,
  HomeDestinations,
  HomeLedger,
  type HomeLedgerQuery,
  type LedgerFiguresFragment as Figures,
} from './home.gql'
import { DEFAULT, NAMES, before, bucketsOf, iso, rangeAt, type Range } from './range'
import './home.css'

const LIVE_MS = 10_000
const FIRST_RUN_MS = 2000

export function Home() {
  return (
    <Page title="Home" actions={<LiveSwitch />}>
      <Begin>
        <RangeChoice />
        <InRange />
      </Begin>
    </Page>
  )
}

/** The first run, as long as there has been no event, instead of the rest; and above it, until one goes on. */
function Begin({ children }: { children: ComponentChildren }) {
  const [isFirst, setFirst] = useState<boolean | null>(null)
  const asked = useAsk(FirstRunAsked, {}, { every: isFirst ? FIRST_RUN_MS : 0, when: isFirst !== false })
  const command = useMemo(() => curl(location.origin, new Date(clock())), [])
  useEffect(() => {
    if (isFirst === null && asked.data) setFirst(asked.data.events.nodes.length === 0)
  }, [asked.data])
  if (!isFirst || !asked.data) return <>{children}</>
  return (
    <>
      <ErrorNotice error={asked.error} again={asked.again} />
      <FirstRun found={asked.data} command={command} close={() => setFirst(false)} />
      {asked.data.events.nodes.length > 0 && children}
    </>
  )
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
  const range = rangeAt(now.value)
  if (typeof range === 'string') return <Notice tone="warn">{range}</Notice>
  return <Figured range={range} />
}

const NOTHING: Omit<Figures, 'platform'> = {
  eventsAccepted: 0,
  eventsCoalesced: 0,
  eventsRejected: 0,
  filtered: 0,
  routed: 0,
  delivered: 0,
  waiting: 0,
  held: 0,
  dropped: 0,
  dropReasons: {},
  purged: 0,
  balanced: true,
  latencyP50Ms: null,
  latencyP95Ms: null,
}

function rowOf(rows: Figures[], platform: Platform | null): Figures {
  return rows.find((row) => row.platform === platform) ?? { ...NOTHING, platform }
}

function Figured({ range }: { range: Range }) {
  const platform = choice('platform', KEYS)
  const past = before(range, now.value)
  const asked = useAsk(
    HomeLedger,
    { since: iso(range.since), until: iso(range.until), bucket: range.bucket, platform },
    { every: range.every },
  )
  const earlier = useAsk(HomeBefore, { since: iso(past.since), until: iso(past.until), bucket: past.bucket }, { when: past.since < past.until })
  const there = useAsk(HomeDestinations, {}, { every: LIVE_MS })
  const error = asked.error ?? there.error
  if (!asked.data || !there.data) return error ? <ErrorNotice error={error} again={asked.again} /> : <Loading />
  const { ledger, rejections } = asked.data
  const { merchant } = there.data
  const all = rowOf(ledger.whole, null)
  const row = rowOf(ledger.whole, platform)
  const rows = earlier.data && !earlier.isStale ? earlier.data.ledger.whole : null
  const keys = KEYS.filter((key) => merchant.destinations.some((one) => one.platform === key) || ledger.whole.some((one) => one.platform === key))
  return (
    <div aria-busy={asked.isStale}>
      <ErrorNotice error={error} again={asked.again} />
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

const bucketWords = { MINUTE: 'minute', HOUR: 'hour', DAY: 'day (UTC)' }

function Charts({ series, platform, range }: { series: HomeLedgerQuery['ledger']['series']; platform: Platform | null; range: Range }) {
  const moment = Math.floor(now.value / 10_000)
  const times = useMemo(() => bucketsOf(range, now.peek()), [range.since, range.until, range.bucket, moment])
  const rows = useMemo(() => new Map(series.map((row) => [Date.parse(row.bucketStart), row])), [series])
  const events = times.map((at) => rows.get(at)?.eventsAccepted ?? 0)
  const refused = times.map((at) => rows.get(at)?.eventsRejected ?? 0)
  const share = times.map((at) => {
    const row = rows.get(at)
    return row && row.routed > 0 ? row.delivered / row.routed : null
  })
  const known = share.filter((one) => one !== null)
  const most = Math.max(0, ...events)
  const least = known.length ? Math.min(...known) : null
  const bucket = bucketWords[range.bucket]
  const name = platform ? titleOf(platform) : null
  return (
    <div class="home-charts">
      <Section title={name ? `Events for ${name}` : 'Events'}>
        <Chart
          title={`By ${bucket}.`}
          finding={
            most
              ? `At most ${counted(most, 'event')}, from ${shortTime(times[events.indexOf(most)]!)} on${
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
          title={`Share of what arrived in each ${bucket} that is delivered by now.`}
          finding={
            least === null
              ? 'Nothing was to be delivered in this time.'
              : `At least ${percent(least)}, at ${shortTime(times[share.indexOf(least)]!)}. What just arrived may still wait.`
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
