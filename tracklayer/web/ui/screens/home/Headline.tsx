// The figures one looks at first, each against as much time before: what changed is said in words and with a sign.

import type { ComponentChildren } from 'preact'

import { count, latency, percent } from '../../lib/format'
import { isLeftAlone } from '../../parts/Status'
import type { LedgerFiguresFragment as Figures } from './home.gql'
import { deliveriesHref, eventsHref, heldHref } from './links'
import type { Range } from './range'
import { reasonsOf } from './Waterfall'

/** Given up, though somebody wanted it delivered. */
export const lost = (row: Figures) => row.dropped - row.leftAlone

/** What is delivered of what came to its end: what waits is neither, nor is what goes nowhere as its person was erased. */
export function deliveredShare(row: Figures): number | null {
  const ended = row.delivered + lost(row)
  return ended > 0 ? row.delivered / ended : null
}

export function Headline({ row, past, range }: { row: Figures; past: Figures | null; range: Range }) {
  const { platform } = row
  const spell = range.name ? `the ${range.words} before` : 'as long before'
  const share = deliveredShare(row)
  const pastShare = past && deliveredShare(past)
  return (
    <ul class="home-headline">
      <Figure
        name={platform ? 'Events offered' : 'New events'}
        value={count(row.eventsAccepted)}
        href={platform ? undefined : eventsHref(range)}
        change={past && more(row.eventsAccepted, past.eventsAccepted, spell)}
      />
      <Figure
        name="Delivered"
        value={count(row.delivered)}
        href={deliveriesHref(range, platform, { status: 'DELIVERED' })}
        change={past && more(row.delivered, past.delivered, spell)}
      />
      <Figure
        name="Success rate"
        value={share === null ? '–' : percent(share)}
        change={share !== null && pastShare != null ? points(share, pastShare, spell) : share !== null && past && `none ended ${spell}`}
      />
      <Figure
        name="Waiting or held"
        value={count(row.waiting + row.held)}
        href={deliveriesHref(range, platform, { status: ['QUEUED', 'FAILED'] })}
        change={row.held ? <a href={heldHref(range, platform)}>{count(row.held)} of them held</a> : 'none is held'}
      />
      <Figure
        name="Dropped"
        value={count(lost(row))}
        href={lostHref(row, range)}
        change={past && more(lost(row), lost(past), spell)}
      />
      <Figure
        name="Median latency"
        value={row.latencyP50Ms === null ? '–' : latency(row.latencyP50Ms!)}
        change={
          row.latencyP95Ms != null && (
            <>
              95 of 100 within {latency(row.latencyP95Ms)}
              {past?.latencyP50Ms != null && row.latencyP50Ms != null && <>; {slower(row.latencyP50Ms, past.latencyP50Ms, spell)}</>}
            </>
          )
        }
      />
    </ul>
  )
}

/** By reason, where some of what is dropped is none of it. */
function lostHref(row: Figures, range: Range): string {
  const reasons = reasonsOf(row).map(([reason]) => reason.toUpperCase())
  const dropReason = reasons.filter((one) => one !== 'PURGED' && !isLeftAlone(one))
  return deliveriesHref(range, row.platform, row.leftAlone ? { dropReason } : { status: 'DROPPED' })
}

function Figure({ name, value, href, change }: { name: string; value: string; href?: string | undefined; change: ComponentChildren }) {
  return (
    <li>
      <span class="home-figure-name">{name}</span>
      {href && value !== '0' ? (
        <a class="home-figure" href={href}>
          {value}
        </a>
      ) : (
        <span class="home-figure">{value}</span>
      )}
      <small class="quiet">{change || ' '}</small>
    </li>
  )
}

function more(now: number, past: number, spell: string): string {
  if (now === past) return now ? `as many as ${spell}` : ''
  if (past === 0) return `none ${spell}`
  const share = (now - past) / past
  const by = Math.abs(share) >= 10 ? `${count(Math.round(now / past))} times` : percent(Math.abs(share))
  if (by.endsWith('times')) return `↑ ${by} as many as ${spell} (${count(past)})`
  return `${share > 0 ? '↑ +' : '↓ −'}${by} on ${spell} (${count(past)})`
}

function points(now: number, past: number, spell: string): string {
  const by = Math.abs(now - past) * 100
  if (by < 0.005) return `as ${spell}`
  return `${now > past ? '↑ +' : '↓ −'}${Number(by.toFixed(2))} points on ${spell} (${percent(past)})`
}

function slower(now: number, past: number, spell: string): string {
  if (Math.abs(now - past) < Math.max(25, past * 0.05)) return `as ${spell}`
  return now > past ? `slower than ${spell} (${latency(past)})` : `faster than ${spell} (${latency(past)})`
}
