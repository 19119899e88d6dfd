// A time series: a drawing for those who see it, keys and words for those who do not, a table for everybody.

import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

import { theme } from '../lib/theme'
import { shortTime, zone } from '../lib/time'

export interface Series {
  name: string
  /** One value a time; null: none there. */
  values: (number | null)[]
  /** A CSS variable's name: --good, --bad, --accent, --wait. */
  color: string
  /** Drawn dashed: not told apart by colour alone. */
  isDashed?: boolean
  /** Drawn as bars, as counts are. */
  isBars?: boolean
}

/** `times`: instants in ms, ascending. `finding`: what it shows, in a sentence. `say`: how a value is written. */
export function Chart({
  title,
  finding,
  times,
  series,
  say = String,
  max,
  marks = [],
  height = 180,
}: {
  title: string
  finding: string
  times: number[]
  series: Series[]
  say?: (value: number) => string
  /** The top of the axis, where it is known: 1 for shares. */
  max?: number
  /** Moments that are drawn as lines across. */
  marks?: { at: number; name: string }[]
  height?: number
}) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const [at, setAt] = useState<number | null>(null)
  const [asTable, setAsTable] = useState(false)
  const [shade, setShade] = useState(0) // counts changes of the system's colours
  const data = [times.map((time) => time / 1000), ...series.map((one) => one.values)] as uPlot.AlignedData
  const shape = JSON.stringify([series.map(({ name, color, isDashed, isBars }) => [name, color, isDashed, isBars]), max, marks])

  useEffect(() => {
    const place = box.current
    if (!place || asTable) return
    const style = getComputedStyle(place)
    const color = (name: string) => style.getPropertyValue(name).trim()
    const axis = { stroke: color('--quiet'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } }
    const chart = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height,
        tzDate: (seconds) => (zone.value === 'utc' ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000)),
        legend: { show: false },
        cursor: { y: false },
        scales: { y: { range: (_plot, _low, high) => [0, max ?? (high > 0 ? high * 1.1 : 1)] } },
        axes: [
          { ...axis, values: (_plot, ticks, _axis, _space, step) => tickNames(ticks, step) },
          // A low one has more than its zero, too.
          { ...axis, size: 64, space: height < 150 ? 18 : 30, values: (_plot, ticks) => ticks.map((tick) => (max === undefined && tick % 1 ? '' : say(tick))) },
        ],
        series: [
          {},
          ...series.map((one) => ({
            label: one.name,
            stroke: color(one.color),
            width: 2,
            // A value between two gaps is no line: it would not be seen.
            points: { show: true, size: 5, filter: (_plot: uPlot, place: number) => alone(data[place] as (number | null)[]) },
            ...(one.isDashed ? { dash: [6, 4] } : {}),
            ...(one.isBars
              ? { fill: color(one.color), width: 0, paths: uPlot.paths.bars!({ size: [0.8, 40], gap: 1 }) }
              : {}),
          })),
        ],
        hooks: {
          setCursor: [(self) => setAt(self.cursor.idx ?? null)],
          draw: [
            (self) => {
              self.ctx.save()
              self.ctx.strokeStyle = color('--ink')
              self.ctx.setLineDash([2, 3])
              for (const mark of marks) {
                const x = self.valToPos(mark.at / 1000, 'x', true)
                if (x < self.bbox.left || x > self.bbox.left + self.bbox.width) continue
                self.ctx.beginPath()
                self.ctx.moveTo(x, self.bbox.top)
                self.ctx.lineTo(x, self.bbox.top + self.bbox.height)
                self.ctx.stroke()
              }
              self.ctx.restore()
            },
          ],
        },
      },
      data,
      place,
    )
    plot.current = chart
    const observer = new ResizeObserver(() => chart.setSize({ width: Math.max(200, place.clientWidth), height }))
    observer.observe(place)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => setShade((one) => one + 1)
    scheme.addEventListener('change', redraw)
    return () => {
      observer.disconnect()
      scheme.removeEventListener('change', redraw)
      chart.destroy()
      plot.current = null
    }
  }, [shape, zone.value, theme.value, asTable, shade])

  useEffect(() => plot.current?.setData(data), [JSON.stringify(data)])

  const move = (to: number) => {
    const index = Math.min(times.length - 1, Math.max(0, to))
    setAt(index)
    plot.current?.setCursor({ left: plot.current.valToPos(times[index]! / 1000, 'x'), top: 10 })
  }
  const told = at === null || times[at] === undefined ? null : tell(at)
  function tell(index: number): string {
    const values = series.map((one) => {
      const value = one.values[index]
      return `${one.name} ${value == null ? '–' : say(value)}`
    })
    return `${shortTime(times[index]!)}: ${values.join(', ')}`
  }

  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong> <span>{finding}</span>
        <button type="button" class="plain" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? 'As chart' : 'As table'}
        </button>
      </figcaption>
      {asTable ? (
        <ChartTable times={times} series={series} say={say} title={title} />
      ) : (
        <>
          <div
            ref={box}
            class="plot"
            style={{ minHeight: `${height}px` }}
            role="img"
            aria-label={`${title}. ${finding} Arrow keys tell the values.`}
            tabIndex={0}
            onKeyDown={(event) => {
              const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[event.key]
              if (step === undefined) return
              event.preventDefault()
              move((at ?? (step > 0 ? -1 : times.length)) + step)
            }}
          />
          <p class="legend" aria-live="polite">
            {told ?? (
              <>
                {series.map((one) => (
                  <span key={one.name} class={`key ${one.color.slice(2)} ${one.isDashed ? 'dashed' : ''}`}>
                    {one.name}
                  </span>
                ))}
                {marks.map((mark) => (
                  <span key={mark.name} class="key line">
                    {mark.name}
                  </span>
                ))}
              </>
            )}
          </p>
        </>
      )}
    </figure>
  )
}

/** The places of values that have no neighbour. */
function alone(values: (number | null)[]): number[] {
  return values.flatMap((value, place) => (value != null && values[place - 1] == null && values[place + 1] == null ? [place] : []))
}

/** 14:00, and the day below where it changes; days alone where steps are that long. */
function tickNames(ticks: number[], step: number): string[] {
  let day = ''
  return ticks.map((seconds) => {
    const [date, time] = shortTime(seconds * 1000).split(', ') as [string, string]
    if (step >= 86_400) return date
    const told = date === day ? time : `${time}\n${date}`
    day = date
    return told
  })
}

const ROWS = 25

function ChartTable({ times, series, say, title }: { times: number[]; series: Series[]; say: (value: number) => string; title: string }) {
  const [page, setPage] = useState(0)
  const pages = Math.max(1, Math.ceil(times.length / ROWS))
  const order = times.map((_, index) => times.length - 1 - index).slice(page * ROWS, (page + 1) * ROWS)
  return (
    <div class="table" role="group" aria-label={title} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {series.map((one) => (
              <th key={one.name} scope="col" class="number">
                {one.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {order.map((index) => (
            <tr key={index}>
              <th scope="row">{shortTime(times[index]!)}</th>
              {series.map((one) => (
                <td key={one.name} class="number">
                  {one.values[index] == null ? '–' : say(one.values[index]!)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {pages > 1 && (
        <div class="pager">
          <button type="button" disabled={page === 0} onClick={() => setPage(page - 1)}>
            Newer
          </button>
          <span>
            {page + 1} of {pages}
          </span>
          <button type="button" disabled={page === pages - 1} onClick={() => setPage(page + 1)}>
            Older
          </button>
        </div>
      )}
    </div>
  )
}
