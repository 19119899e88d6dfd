import { useAsk } from '../../lib/ask'
import { count, counted, percent } from '../../lib/format'
import { duration, shortTime } from '../../lib/time'
import { Chart, type Series } from '../../parts/Chart'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { ChartOfAlert, type AlertSeriesRole, type ChartOfAlertQuery } from './alert.gql'
import type { AlertKind } from './notifications.gql'
import { RULES } from './words'

const EVERY_MS = 60_000

type Drawn = NonNullable<ChartOfAlertQuery['alertChart']>

/** Plain numbers: 15.0 is read as it was written, and a drawing needs none of that. */
function plain(chart: Drawn): Drawn {
  const numbers = (values: (number | null)[]) => values.map((one) => (one === null ? null : Number(String(one))))
  return { ...chart, series: chart.series.map((one) => ({ ...one, values: numbers(one.values) })) }
}

const looks: Record<AlertSeriesRole, { color: string; isDashed?: boolean }> = {
  SEEN: { color: '--accent' },
  NORMAL: { color: '--off', isDashed: true },
  COMPARED: { color: '--wait', isDashed: true },
}

/** Kinds that are about a share: of how many it is stands in a second drawing. */
const OF_SHARES: readonly AlertKind[] = ['PLATFORM_DOWN', 'DELIVERY_RATE_DROP', 'EVENTS_REJECTED', 'MATCH_QUALITY_DROP', 'VALUE_LOST']

/** What was seen against what is normal around the moment of an alert. It has its height before it is there: what stands below
 * is read, and pressed, meanwhile. */
export function AlertChart({ id, kind, openedAt, resolvedAt }: { id: string; kind: AlertKind; openedAt: string; resolvedAt: string | null }) {
  const asked = useAsk(ChartOfAlert, { id }, { every: resolvedAt ? 0 : EVERY_MS })
  const chart = asked.data?.alertChart
  return (
    <Section title={chart && !hasNormal(chart) ? 'What was seen' : 'What was seen against what is normal'}>
      <ErrorNotice error={asked.error} again={asked.again} />
      {(asked.data || !asked.error) && (
        <div class={`drawn ${OF_SHARES.includes(kind) ? 'of-shares' : ''}`}>
          {!asked.data && <Loading />}
          {asked.data && !chart && <Empty title="No counters of that time are there, so there is nothing to draw." />}
          {chart && <Drawing chart={plain(chart)} openedAt={openedAt} resolvedAt={resolvedAt} />}
        </div>
      )}
    </Section>
  )
}

function Drawing({ chart, openedAt, resolvedAt }: { chart: Drawn; openedAt: string; resolvedAt: string | null }) {
  const times = chart.times.map((at) => new Date(at).getTime())
  const isShare = chart.unit === 'SHARE'
  const series: Series[] = chart.series.map((one) => ({ name: one.label, values: one.values, ...looks[one.role] }))
  const step = chart.stepSeconds * 1000
  const since = new Date(chart.since).getTime()
  const opened = new Date(openedAt).getTime()
  const marks = [
    ...(opened - since > step ? [{ at: since, name: `began ${shortTime(since)}` }] : []),
    { at: opened, name: `opened ${shortTime(opened)}` },
    ...(resolvedAt ? [{ at: new Date(resolvedAt).getTime(), name: `resolved ${shortTime(resolvedAt)}` }] : []),
  ]
  const each = `each point is ${duration(step)}`
  return (
    <>
      <Chart
        title={chart.title}
        finding={`${found(chart, resolvedAt)} (${each}).`}
        times={times}
        series={series}
        say={isShare ? percent : amount}
        max={isShare ? 1 : undefined}
        marks={marks}
        height={220}
      />
      {chart.counts && chart.counts.some((one) => one > 0) && (
        <Chart
          title="How many each share is of"
          finding={`${counted(sum(chart.counts), 'event')} in all. A share of few says little.`}
          times={times}
          series={[{ name: 'events', values: chart.counts, color: '--off', isBars: true }]}
          say={count}
          height={110}
        />
      )}
      {!hasNormal(chart) && !chart.series.some((one) => one.role === 'COMPARED') && (
        <p class="quiet">
          What is normal is not known for this: TrackLayer learns it from a few weeks of events.{' '}
          <a href={RULES}>How it is judged</a>
        </p>
      )}
    </>
  )
}

function hasNormal(chart: Drawn): boolean {
  return chart.series.some((one) => one.role === 'NORMAL')
}

function amount(value: number): string {
  return count(Math.round(value * 100) / 100)
}

function sum(values: readonly (number | null)[]): number {
  return values.reduce<number>((total, one) => total + (one ?? 0), 0)
}

/** What the drawing shows, in words: of the time that the alert is about. */
function found(chart: Drawn, resolvedAt: string | null): string {
  const of = (role: AlertSeriesRole) => chart.series.find((one) => one.role === role)
  const seen = of('SEEN')
  const normal = of('NORMAL')
  const compared = of('COMPARED')
  const from = chart.times.findIndex((at) => new Date(at).getTime() + chart.stepSeconds * 1000 > new Date(chart.since).getTime())
  const after = resolvedAt ? chart.times.findIndex((at) => new Date(at).getTime() >= new Date(resolvedAt).getTime()) : -1
  const meanwhile = <T,>(values: readonly T[]) => values.slice(Math.max(0, from), after < 0 ? undefined : after)
  const when = resolvedAt ? 'from when it began until it was resolved' : 'since it began'
  if (!seen) return ''
  if (chart.unit === 'SHARE') {
    const counts = meanwhile(chart.counts ?? [])
    const total = sum(counts)
    const shares = meanwhile(seen.values)
    const good = sum(shares.map((value, index) => (value ?? 0) * (counts[index] ?? 0)))
    const whole = `${percent(good / total)} ${resolvedAt ? '' : `${seen.label} `}${when}`
    // What waited goes out before it is resolved, and makes the whole look better than it was.
    const worst = Math.min(...shares.map((value, index) => (counts[index] ? (value ?? 1) : 1)))
    const told = !total
      ? `None ${seen.label} or not ${when}`
      : resolvedAt
        ? `${percent(worst)} ${seen.label} at worst, ${whole}`
        : whole
    const usual = normal?.values.find((one) => one !== null)
    return usual == null ? told : `${told}; ${percent(usual)} is usual`
  }
  const told = `${amount(sum(meanwhile(seen.values)))} ${seen.label} ${when}`
  if (compared) return `${told}, ${amount(sum(meanwhile(compared.values)))} ${compared.label}`
  return normal ? `${told}; about ${amount(Math.round(sum(meanwhile(normal.values))))} are usual in that time` : told
}
