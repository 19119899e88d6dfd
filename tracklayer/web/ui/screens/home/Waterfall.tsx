// What became of every event, step by step: each bar begins where the one before ended, so that one sees it add up.

import { count, percent, words } from '../../lib/format'
import { titleOf } from '../../lib/platforms'
import { isLeftAlone, Mark } from '../../parts/Status'
import type { LedgerFiguresFragment as Figures } from './home.gql'
import { deliveriesHref, eventsHref, heldHref, waitingHref } from './links'
import type { Range } from './range'

interface Step {
  name: string
  value: number
  /** Where its bar begins: how many were there before it. */
  from: number
  tone: 'sum' | 'good' | 'wait' | 'warn' | 'bad' | 'off'
  href?: string | undefined
  note?: string | undefined
  /** It is taken away from what was there before it. */
  isLess?: boolean
}


export function reasonsOf(row: Figures): [string, number][] {
  const found = Object.entries((row.dropReasons ?? {}) as Record<string, number>).filter(([, n]) => n !== 0)
  return found.sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
}

/** From what was sent to what is offered: `all` is the merchant's row, `row` a platform's or the same one. */
function atTheDoor(all: Figures, row: Figures, range: Range): Step[] {
  const sent = all.eventsAccepted + all.eventsCoalesced + all.eventsRejected
  const steps: Step[] = [{ name: 'Sent to TrackLayer', value: sent, from: 0, tone: 'sum', note: 'everything that arrived' }]
  let left = sent
  const take = (name: string, value: number, tone: Step['tone'], href?: string, note?: string) => {
    left -= value
    if (value) steps.push({ name, value, from: left, tone, href, note, isLess: true })
  }
  take('Repeats', all.eventsCoalesced, 'off', undefined, 'known already, counted once')
  take('Refused at the door', all.eventsRejected, 'bad', '#refused', 'see why below')
  steps.push({ name: 'New events', value: all.eventsAccepted, from: 0, tone: 'sum', href: eventsHref(range), note: 'stored' })
  if (row.platform)
    take('Without this destination', all.eventsAccepted - row.eventsAccepted, 'off', undefined, 'it was not there then')
  return steps
}

/** From what was offered to what became of it. */
function onTheWay(row: Figures, range: Range): Step[] {
  const { platform } = row
  const offered = row.filtered + row.routed
  const steps: Step[] = []
  if (!platform)
    steps.push({ name: 'Offered', value: offered, from: 0, tone: 'sum', note: 'each event once a destination' })
  if (row.filtered)
    steps.push({
      name: 'Filtered',
      value: row.filtered,
      from: row.routed,
      tone: 'off',
      href: platform ? eventsHref(range, platform) : undefined,
      isLess: true,
      note: platform ? 'it does not take events of that name' : 'destinations that do not take events of that name',
    })
  steps.push({ name: 'To be delivered', value: row.routed, from: 0, tone: 'sum', href: deliveriesHref(range, platform) })
  let at = 0
  const put = (name: string, value: number, tone: Step['tone'], href?: string, note?: string) => {
    if (value || name === 'Delivered') steps.push({ name, value, from: at, tone, href, note })
    at += value
  }
  put('Delivered', row.delivered, 'good', deliveriesHref(range, platform, { status: 'DELIVERED' }))
  put('Waiting', row.waiting, 'wait', waitingHref(range, platform), 'on its way, or tried again soon')
  put('Held', row.held, 'warn', heldHref(range, platform), 'its destination is paused or held')
  for (const [reason, n] of reasonsOf(row)) {
    const isPurged = reason === 'purged'
    const href = isPurged ? undefined : deliveriesHref(range, platform, { dropReason: reason.toUpperCase() })
    const isLeft = isLeftAlone(reason.toUpperCase())
    const note = isPurged ? 'deleted while it waited' : isLeft ? 'nobody’s failure: the person was erased' : undefined
    put(`${isLeft ? 'Left alone' : 'Dropped'}: ${words(reason).toLowerCase()}`, n, isLeft ? 'off' : 'bad', href, note)
  }
  return steps
}

export function Waterfall({ all, row, range }: { all: Figures; row: Figures; range: Range }) {
  const door = atTheDoor(all, row, range)
  const way = onTheWay(row, range)
  const sent = door[0]!.value
  const top = row.platform ? sent : row.filtered + row.routed
  const name = row.platform ? titleOf(row.platform) : 'all destinations'
  return (
    <div class="waterfall">
      <Steps label={`From what was sent to ${name}`} steps={door} most={sent} of={sent} />
      <Steps label={`What became of it at ${name}`} steps={way} most={top} of={row.routed} />
      <p class="home-sum">
        {row.balanced ? (
          <Mark tone="good" word="Adds up: every event is accounted for, by counters that are kept apart." />
        ) : (
          <Mark tone="bad" word="Does not add up. Whoever runs TrackLayer should run tracklayer doctor." />
        )}
        {row.purged > 0 && (
          <span class="quiet">
            {' '}
            {count(row.purged)} {row.platform ? 'deliveries' : 'events'} of this time are deleted, because their retention ended or their
            person was erased: they stay counted, and lists hold the others.
          </span>
        )}
      </p>
    </div>
  )
}

const WIDTH = 1000

function Steps({ label, steps, most, of }: { label: string; steps: Step[]; most: number; of: number }) {
  const scale = most > 0 ? WIDTH / most : 0
  return (
    <ol class="home-steps" aria-label={label}>
      {steps.map((step) => {
        const inner = (
          <>
            <span class="home-step-name">
              {step.name}
              {step.note && <small> {step.note}</small>}
            </span>
            <svg viewBox={`0 0 ${WIDTH} 20`} preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" width={WIDTH} height="20" />
              <rect
                class={step.tone}
                x={Math.min(WIDTH - 4, step.from * scale)}
                width={step.value > 0 ? Math.max(4, step.value * scale) : 0}
                height="20"
              />
            </svg>
            <span class="home-step-count">
              {step.isLess ? '−' : ''}
              {count(step.value)}
            </span>
            <span class="home-step-share">{step.tone !== 'sum' && of > 0 && step.value <= of ? percent(step.value / of) : ''}</span>
          </>
        )
        return (
          <li key={step.name} class={step.tone}>
            {step.href && step.value > 0 ? <a href={step.href}>{inner}</a> : <div>{inner}</div>}
          </li>
        )
      })}
    </ol>
  )
}
