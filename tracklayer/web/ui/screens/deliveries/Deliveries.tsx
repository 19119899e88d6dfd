// Deliveries: what befell them, grouped, the worst first; then row by row; and sending them again, one, some or all.

import { useEffect, useState } from 'preact/hooks'

import { counted } from '../../lib/format'
import { KEYS, titleOf } from '../../lib/platforms'
import { go, param, setParams, withParams } from '../../lib/router'
import { clock, minuteTime } from '../../lib/time'
import { Filters, isInstant, Select, Several, TextFilter, TimeRange, useFilter } from '../../parts/Filters'
import { LiveSwitch } from '../../parts/List'
import { Page } from '../../parts/Page'
import { filterHere, isEmpty, KEPT, REASONS, STATUSES } from './filter'
import { Groups } from './Groups'
import { JobPanel, RecentJobs } from './Jobs'
import { RedeliverDialog, type Wish } from './RedeliverDialog'
import { Rows } from './Rows'
import { StoredDialog } from './StoredDialog'
import './deliveries.css'

const HOUR_MS = 3_600_000
const SPANS: [string, number][] = [
  ['1 h', 1],
  ['24 h', 24],
  ['7 d', 168],
  ['30 d', 720],
]

export function Deliveries() {
  const [wish, setWish] = useState<Wish | null>(null)
  const [turn, setTurn] = useState(0)
  const [isSettled, settle] = useState(false)
  const [areRowsThere, setRowsThere] = useState(false)
  const filter = filterHere()
  const job = param('job')
  const stored = param('stored')
  // As other screens name a time: here it is when a delivery was queued.
  const [since, until] = [param('since'), param('until')]
  useEffect(() => {
    if (since || until) setParams({ since: null, until: null, queuedSince: since, queuedUntil: until }, { replace: true })
  }, [since, until])
  const done = () => setTurn((one) => one + 1)
  return (
    <Page
      title="Deliveries"
      actions={
        <>
          <a class="button" href={withParams({ stored: filter.platform ?? 'any' })}>
            Deliver stored events …
          </a>
          <LiveSwitch />
        </>
      }
    >
      <Filters keep={KEPT}>
        <Select name="platform" label="Platform" options={KEYS.map((key) => [key, titleOf(key)])} />
        <Several name="status" label="Status" options={STATUSES} />
        <Several name="dropReason" label="Reason" options={REASONS} />
        <Select
          name="held"
          label="Held back"
          options={[
            ['true', 'Held'],
            ['false', 'Not held'],
          ]}
        />
        <TextFilter name="errorContains" label="Words of the error" hotkey="/" />
        <Arrived since={filter.receivedSince} until={filter.receivedUntil} />
        <div class="filter">
          <span>Queued in the last</span>
          <div class="spans">
            {SPANS.map(([words, hours]) => (
              <button
                key={words}
                type="button"
                onClick={() => setParams({ queuedSince: hoursAgo(hours), queuedUntil: null })}
              >
                {words}
              </button>
            ))}
          </div>
        </div>
        <details class="more-filters" open={['errorCode', 'queuedSince', 'queuedUntil'].some((name) => param(name) !== null)}>
          <summary>More</summary>
          <div class="filters">
            <TextFilter name="errorCode" label="Code, exactly" />
            <TimeRange since="queuedSince" until="queuedUntil" />
          </div>
        </details>
      </Filters>
      {job && <JobPanel key={job} id={job} />}
      <Groups filter={filter} redeliver={(given, about) => setWish({ about, filter: given, ids: null })} turn={turn} settle={settle} />
      <Rows
        filter={filter}
        turn={turn}
        isEarly={!isSettled}
        settled={() => setRowsThere(true)}
        redeliver={(sent) =>
          setWish({ about: isEmpty(filter) ? 'All that failed or was dropped' : 'All that match', filter, ids: null, sent })
        }
        redeliverIds={(ids, sent) =>
          setWish({ about: counted(ids.length, 'selected delivery', 'selected deliveries'), filter: {}, ids, sent })
        }
      />
      {areRowsThere && <RecentJobs turn={turn} />}
      {wish && <RedeliverDialog wish={wish} close={() => setWish(null)} done={done} />}
      {stored !== null && <StoredDialog key={stored} given={stored} close={() => go(withParams({ stored: null }))} done={done} />}
    </Page>
  )
}

/** When the events arrived, where a figure of Home led here: that is what the ledger counts by. */
function Arrived({ since, until }: { since: string | null | undefined; until: string | null | undefined }) {
  useFilter('receivedSince', isInstant)
  useFilter('receivedUntil', isInstant)
  if (!since && !until) return null
  return (
    <div class="filter">
      <span>Of events that arrived</span>
      <div class="spans">
        <span>
          {since && `from ${minuteTime(since)}`} {until && `before ${minuteTime(until)}`}
        </span>
        <button type="button" class="plain" onClick={() => setParams({ receivedSince: null, receivedUntil: null })}>
          At any time
        </button>
      </div>
    </div>
  )
}

/** To the minute: a link that can be read. */
function hoursAgo(hours: number): string {
  return new Date(Math.floor(clock() / 60_000) * 60_000 - hours * HOUR_MS).toISOString()
}
