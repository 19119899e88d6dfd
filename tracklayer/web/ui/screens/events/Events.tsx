// The list of events: found by id, name, time, status and platform; what is new is collected and never moves what one reads.

import { useEffect, useRef, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { useAsk, usePage } from '../../lib/ask'
import { counted, money } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { eventHref } from '../../lib/links'
import { KEYS, platforms, titleOf } from '../../lib/platforms'
import { choice, choices, go, instant, param, place, setParams, withParams } from '../../lib/router'
import { may } from '../../lib/session'
import { Filters, Select, Several, TextFilter, TimeRange, useFilter } from '../../parts/Filters'
import { Fresh, LiveSwitch, Pager } from '../../parts/List'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Page } from '../../parts/Page'
import { Badge, DeliveryMark } from '../../parts/Status'
import { Table, type Column } from '../../parts/Table'
import { Time } from '../../parts/Time'
import { RedeliverDialog } from '../event/Redeliver'
import { Identifiers } from './Identifiers'
import { EventById, EventList, EventsAgain, EventsKept, type EventListQuery, type EventFilter } from './events.gql'
import { retention, shortTitle } from './links'
import './events.css'

type Row = EventListQuery['events']['nodes'][number]

const OFTEN = 4000 // ms
const RARELY = 20_000
const STATUSES = ['QUEUED', 'FAILED', 'DROPPED', 'DELIVERED'] as const
const STATUS_WORDS: [string, string][] = [
  ['QUEUED', 'Queued'],
  ['FAILED', 'Retrying'],
  ['DROPPED', 'Dropped'],
  ['DELIVERED', 'Delivered'],
]

const columns: Column<Row>[] = [
  { name: 'Event id', cell: (row) => <span class="event-id">{row.eventId}</span> },
  {
    name: 'Name',
    cell: (row) => (
      <>
        {row.eventName}
        {row.timesReceived > 1 && (
          <>
            {' '}
            <Badge title={`Received ${counted(row.timesReceived, 'time')}: counted and delivered once.`}>×{row.timesReceived}</Badge>
          </>
        )}
      </>
    ),
  },
  { name: 'Value', isNumber: true, cell: (row) => money(row.custom.value, row.custom.currency) },
  { name: 'Arrived', cell: (row) => <span class="event-when"><Time at={row.receivedAt} /></span> },
  { name: 'Platforms', cell: (row) => <Platforms row={row} /> },
  { name: 'Identifiers', isMinor: true, cell: (row) => <Identifiers names={row.identifiers} /> },
]

function Platforms({ row }: { row: Row }) {
  if (!row.deliveries.length) return <span class="quiet">none takes it</span>
  return (
    <ul class="event-platforms">
      {row.deliveries.map((one) => (
        <li key={one.id}>
          <DeliveryMark status={one.status} held={one.held} reason={one.dropReason} quiet /> <span title={titleOf(one.platform)}>{shortTitle(one.platform)}</span>
        </li>
      ))}
    </ul>
  )
}

export function Events() {
  const filter: EventFilter = {
    eventIdPrefix: param('id'),
    eventName: param('name'),
    receivedSince: instant('since'),
    receivedUntil: instant('until'),
    deliveryStatuses: choices('status', STATUSES),
    platforms: choices('platform', KEYS),
    filteredAt: choice('filteredAt', KEYS),
  }
  const after = param('after')
  // Few of many by their name or platform have no index: they are looked for less often.
  const isCostly = filter.eventName !== null || (!!filter.platforms?.length && !filter.deliveryStatuses?.length)
  const every = isCostly ? RARELY : OFTEN
  const page = usePage(EventList, { first: 50, after, filter }, (data) => data.events, {
    every,
    isFirst: after === null,
    renewal: { operation: EventsAgain, pick: (data) => data.nodes },
  })
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const [asked, setAsked] = useState<string[] | null>(null)

  const seen = new Set(page.rows.map((row) => row.id))
  const picked = page.rows.filter((row) => chosen.has(row.id) && seen.has(row.id))
  const undelivered = picked.flatMap((row) => row.deliveries.filter((one) => one.status === 'FAILED' || one.status === 'DROPPED'))
  const redeliver = () => {
    if (!may('ADMIN')) say('Your key lacks the scope ADMIN. Sign in with a key that has it.', { isBad: true })
    else if (!picked.length) say('Select events first, with x or their boxes.')
    else if (!undelivered.length) say('No delivery of the selected events failed or was dropped.')
    else setAsked(undelivered.map((one) => one.id))
  }
  useKeys([{ keys: 'r', does: 'Redeliver the selected events', run: redeliver }])
  const choose = (id: string) => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    setChosen(next)
  }

  return (
    <Page title="Events" actions={<LiveSwitch />}>
      <Filters>
        <TextFilter name="id" label="Event id begins with" placeholder="order_4711" hotkey="/" enter={(text) => void open(text)} />
        <NameFilter rows={page.rows} />
        <Several name="status" label="Status" options={STATUS_WORDS} />
        <Several name="platform" label="Platform" options={platforms.value.map((one) => [one.platform, one.title])} />
        {filter.filteredAt && (
          <Select name="filteredAt" label="Filtered at" all="–" options={platforms.value.map((one) => [one.platform, one.title])} />
        )}
        <TimeRange />
      </Filters>
      <ErrorNotice error={page.error} again={page.again} />
      {picked.length > 0 && (
        <div class="event-chosen" role="status">
          <span>
            {counted(picked.length, 'event')} selected, {counted(undelivered.length, 'delivery', 'deliveries')} of{' '}
            {picked.length === 1 ? 'it' : 'them'} not taken.
          </span>
          <button
            type="button"
            disabled={!undelivered.length}
            aria-disabled={!may('ADMIN')}
            title={may('ADMIN') ? 'Redeliver (r)' : 'Your key lacks the scope ADMIN.'}
            onClick={redeliver}
          >
            Redeliver …
          </button>
          <button type="button" class="plain" onClick={() => setChosen(new Set())}>
            Select none
          </button>
        </div>
      )}
      <Fresh page={page} what="event" />
      {page.rows.length > 0 ? (
        <div class="events-list">
          <Table
            label="Events, newest first"
            columns={columns}
            rows={page.rows}
            href={(row) => eventHref(row.eventId)}
            chosen={chosen}
            choose={choose}
            isStale={page.isStale}
          />
        </div>
      ) : page.data === null ? (
        !page.error && <Loading what="Looking for events" />
      ) : (
        !page.pageInfo?.searchedUntil && <Nothing filter={filter} />
      )}
      <Pager page={page} />
      {asked && (
        <RedeliverDialog
          ids={asked}
          close={() => setAsked(null)}
          done={page.again}
          sent={() => setChosen(new Set())}
        />
      )}
    </Page>
  )
}

/** An id that is one leads straight to its event, unless one went elsewhere meanwhile. */
async function open(text: string): Promise<void> {
  if (!text) return
  const here = place.peek()
  try {
    const { event } = await ask(EventById, { eventId: text })
    if (event && place.peek() === here) go(eventHref(event.eventId))
  } catch {
    // The list says what is wrong.
  }
}

/** The whole name, as it was sent: names that are known are offered. */
function NameFilter({ rows }: { rows: Row[] }) {
  useFilter('name')
  const given = param('name') ?? ''
  const [text, setText] = useState(given)
  useEffect(() => setText(given), [given])
  const known = useRef(new Set(['Purchase', 'Lead', 'AddToCart', 'InitiateCheckout', 'ViewContent', 'CompleteRegistration', 'PageView']))
  for (const row of rows) known.current.add(row.eventName)
  const apply = () => {
    if (text.trim() !== given) setParams({ name: text.trim() })
  }
  return (
    <label class="filter">
      <span>Event name</span>
      <input
        type="search"
        list="event-names"
        value={text}
        placeholder="Purchase"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          const value = event.currentTarget.value
          setText(value)
          if (!value || known.current.has(value)) setParams({ name: value })
        }}
        onBlur={apply}
        onKeyDown={(event) => {
          if (event.key === 'Enter') apply()
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
      <datalist id="event-names">
        {[...known.current].sort().map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  )
}

/** What an empty list means, and the nearest way to rows. */
function Nothing({ filter }: { filter: EventFilter }) {
  const kept = useAsk(EventsKept, {})
  const ways: [string, Record<string, null>][] = []
  if (param('after')) ways.push(['Go back to the newest', {}])
  if (filter.receivedSince || filter.receivedUntil) ways.push(['Look at all times', { since: null, until: null }])
  if (filter.deliveryStatuses?.length) ways.push(['Look at every status', { status: null }])
  if (filter.platforms?.length) ways.push(['Look at every platform', { platform: null }])
  if (filter.filteredAt) ways.push([`Look at what ${titleOf(filter.filteredAt)} takes, too`, { filteredAt: null }])
  if (filter.eventName) ways.push(['Look at every name', { name: null }])
  if (filter.eventIdPrefix) ways.push(['Look at every id', { id: null }])
  if (!ways.length)
    return (
      <Empty title="No event has come yet.">
        <p>
          Send the first one: <a href="/">the start page</a> has a command that is ready to paste, and{' '}
          <a href="/docs/quickstart">the guide</a> says the rest. It appears here by itself.
        </p>
      </Empty>
    )
  return (
    <Empty title="No event fits these filters.">
      {filter.eventName && <p>A name is compared as a whole and as it was sent: “{filter.eventName}”.</p>}
      {filter.eventIdPrefix && <p>An id is compared from its beginning and as it was sent, capital letters too.</p>}
      <ul class="event-ways">
        {ways.map(([words, changes]) => (
          <li key={words}>
            <a href={withParams({ after: null, ...changes })}>{words}</a>
          </li>
        ))}
      </ul>
      <ErrorNotice error={kept.error} again={kept.again} />
      <p>
        {kept.data && `Events are kept for ${retention(kept.data.merchant.retentionDays)}. `}
        An event that was refused at the door is not stored: the answer to whoever sent it said why.
      </p>
    </Empty>
  )
}
