// Makes deliveries for stored events that never got one on a platform: a destination is new, or takes more than before.
// `/deliveries?stored=META` opens it.

import { useEffect, useRef, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, ApiError } from '../../lib/api'
import { useAsk } from '../../lib/ask'
import { count, counted } from '../../lib/format'
import { useHere } from '../../lib/here'
import { factsOf, KEYS, titleOf, type Platform } from '../../lib/platforms'
import { go, withParams } from '../../lib/router'
import { clock } from '../../lib/time'
import { Action } from '../../parts/Action'
import { Dialog } from '../../parts/Dialog'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { DeliverStored, DestinationsForStored, type EventFilter, type OutcomeFragment } from './deliveries.gql'
import { Told } from './Outcome'

const DAY_MS = 86_400_000
const SPANS: [string, number][] = [
  ['the last 24 hours', 1],
  ['the last 7 days', 7],
  ['the last 30 days', 30],
  ['the last 90 days', 90],
]

export function StoredDialog({ given, close, done }: { given: string; close: () => void; done: () => void }) {
  const asked = useAsk(DestinationsForStored, {})
  const [platform, setPlatform] = useState<Platform | null>(KEYS.find((key) => key === given) ?? null)
  const [days, setDays] = useState(7)
  const [name, setName] = useState('')
  const [found, setFound] = useState<{ outcome: OutcomeFragment; platform: Platform; filter: EventFilter } | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const [isBusy, setBusy] = useState(false)
  const isHere = useHere()

  const there = asked.data?.merchant.destinations ?? []
  const destination = there.find((one) => one.platform === platform)
  // What was counted for one choice is never shown, or done, for another.
  const counting = useRef<AbortController>(null)
  const forget = () => {
    counting.current?.abort()
    counting.current = null
    setFound(null)
    setError(null)
    setBusy(false)
  }
  useEffect(() => () => counting.current?.abort(), [])

  const look = async () => {
    if (!platform) return
    const since = new Date(Math.floor(clock() / 60_000) * 60_000 - days * DAY_MS).toISOString()
    const filter: EventFilter = { receivedSince: since, ...(name.trim() ? { eventName: name.trim() } : {}) }
    forget()
    const controller = new AbortController()
    counting.current = controller
    setBusy(true)
    try {
      const { deliverStored } = await ask(DeliverStored, { platform, filter, dryRun: true }, controller.signal)
      if (controller.signal.aborted) return
      const problem = deliverStored.userErrors[0]
      if (problem) setError(new ApiError('BAD_USER_INPUT', problem.message))
      else setFound({ outcome: deliverStored, platform, filter })
    } catch (fault) {
      if (controller.signal.aborted) return
      setError(fault instanceof ApiError ? fault : new ApiError('INTERNAL', 'This screen met a fault of its own.'))
    } finally {
      if (!controller.signal.aborted) setBusy(false)
    }
  }

  const make = async () => {
    if (!found) return
    const { deliverStored } = await ask(DeliverStored, { platform: found.platform, filter: found.filter, dryRun: false })
    const problem = deliverStored.userErrors[0]
    if (problem) {
      say(problem.message, { isBad: true })
      return
    }
    if (isHere()) {
      close()
      const of = found.outcome.complete ? String(found.outcome.matched) : null
      if (deliverStored.job) go(withParams({ job: deliverStored.job.id, of, stored: null }))
    }
    say(
      deliverStored.job
        ? `${counted(deliverStored.requeued, 'delivery', 'deliveries')} made; the rest follows in the background.`
        : `${counted(deliverStored.requeued, 'delivery', 'deliveries')} to ${titleOf(found.platform)} made.`,
    )
    done()
  }

  return (
    <Dialog title="Deliver stored events" close={close}>
      <p>
        For events that are stored and never got a delivery to a platform, because its destination is new or takes more names now.
        What has a delivery there already is left alone.
      </p>
      <ErrorNotice error={asked.error} again={asked.again} />
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault()
          void look()
        }}
      >
        <label class="filter">
          <span>To</span>
          <select
            value={platform ?? ''}
            onChange={(event) => {
              const wanted = event.currentTarget.value
              setPlatform(KEYS.find((key) => key === wanted) ?? null)
              forget()
            }}
          >
            <option value="">Choose a destination</option>
            {there.map((one) => (
              <option key={one.platform} value={one.platform}>
                {titleOf(one.platform)}
              </option>
            ))}
          </select>
        </label>
        <label class="filter">
          <span>Events of</span>
          <select
            value={String(days)}
            onChange={(event) => {
              setDays(Number(event.currentTarget.value))
              forget()
            }}
          >
            {SPANS.map(([words, length]) => (
              <option key={length} value={length}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label class="filter">
          <span>Of exactly this name</span>
          <input
            type="text"
            value={name}
            placeholder="all names"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => {
              setName(event.currentTarget.value)
              forget()
            }}
          />
        </label>
      </form>
      {asked.data && platform && !destination && (
        <Notice tone="warn">
          <p>
            There is no destination on {titleOf(platform)}. <a href={`/destinations/${platform.toLowerCase()}`}>Set it up</a> first.
          </p>
        </Notice>
      )}
      {destination && destination.state !== 'ACTIVE' && (
        <Notice tone="warn">
          <p>The destination is {destination.state.toLowerCase()}: what is made now waits there, for 24 hours at most.</p>
        </Notice>
      )}
      <ErrorNotice error={error} />
      {isBusy && <Loading what="Counting what would be made, without doing it; this takes up to ten seconds" />}
      {found && (
        <>
          <Told found={found.outcome} what="stored event" made={`get a delivery to ${titleOf(found.platform)}`} />
          <p class="quiet">
            Each keeps its event id and time, and has 24 hours from when it is queued. {factsOf(found.platform)?.deduplication}
          </p>
        </>
      )}
      <div class="actions">
        <Action scope="ADMIN" kind={found ? '' : 'main'} run={look} disabled={!destination || isBusy}>
          {found ? 'Count again' : 'Count what would be made'}
        </Action>
        {found && found.outcome.requeued > 0 && (
          <Action scope="ADMIN" kind="main" run={make}>
            {found.outcome.complete ? `Make ${counted(found.outcome.requeued, 'delivery', 'deliveries')}` : 'Make all of them'}
          </Action>
        )}
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
      {found && found.outcome.requeued === 0 && found.outcome.matched > 0 && (
        <p class="quiet">{count(found.outcome.matched)} were looked at; there is nothing to make.</p>
      )}
    </Dialog>
  )
}
