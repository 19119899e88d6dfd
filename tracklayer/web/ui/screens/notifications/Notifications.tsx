import { useEffect, useRef, useState } from 'preact/hooks'

import { isPaused, useAsk, usePage } from '../../lib/ask'
import { counted } from '../../lib/format'
import { isLive, lastChange, type AlertChange } from '../../lib/live'
import { KEYS, titleOf } from '../../lib/platforms'
import { choice, choices, instant, param, place } from '../../lib/router'
import { duration, exactTime, now } from '../../lib/time'
import { Filters, Select, Several, TimeRange } from '../../parts/Filters'
import { LiveSwitch, Pager } from '../../parts/List'
import { Empty, ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Page } from '../../parts/Page'
import { Badge, SeverityMark } from '../../parts/Status'
import { Table } from '../../parts/Table'
import { Time } from '../../parts/Time'
import {
  NotificationsAgain,
  OpenNotifications,
  ResolvedNotifications,
  WhoIsTold,
  type AlertFilter,
  type AlertKind,
  type AlertRowFragment as AlertRow,
  type AlertState,
  type OpenNotificationsQuery,
  type WhoIsToldQuery,
} from './notifications.gql'
import './notifications.css'
import { GUIDE, KINDS, kindName } from './words'

const OPEN_EVERY_MS = 30_000 // changes are heard as they happen; this is for what was missed
const GATHER_MS = 250
const OF_OPEN = 'open:' // before the cursor of a further page of those that are open, in the address

/** The alerts: those that are open first, the gravest of them before the others, then those that are over, page by page. */
export function Notifications() {
  const state = choice<AlertState>('state', ['OPEN', 'RESOLVED'])
  const after = param('after')
  const filter: AlertFilter = {
    kind: choices('kind', KINDS.map(([kind]) => kind)),
    platform: choice('platform', KEYS),
    openedSince: instant('since'),
    openedUntil: instant('until'),
  }
  const openAfter = after?.startsWith(OF_OPEN) ? after.slice(OF_OPEN.length) : null
  const wantsOpen = state !== 'RESOLVED' && (after === null || openAfter !== null)
  const open = usePage(OpenNotifications, { after: openAfter, filter: { ...filter, state: 'OPEN' } }, (data) => data.alerts, {
    every: OPEN_EVERY_MS,
    isFirst: openAfter === null,
    when: wantsOpen,
    renewal: { operation: NotificationsAgain, pick: (data) => data.nodes },
  })
  const moreOpen = wantsOpen && open.pageInfo?.hasNextPage ? open.pageInfo.endCursor : null
  const wantsResolved = state !== 'OPEN' && moreOpen === null // these come after all that are open
  const resolved = usePage(ResolvedNotifications, { after: openAfter === null ? after : null, filter: { ...filter, state: 'RESOLVED' } }, (data) => data.alerts, {
    isFirst: false,
    when: wantsResolved,
  })
  const told = useAsk(WhoIsTold, {})
  const isTold = told.data !== null || told.error !== null // before that no row: what is said above would push it down
  const heard = useChanges(open.again)
  const ranks = useRef(new Map<string, number>())

  const newest = (open.data as OpenNotificationsQuery | null)?.alerts ?? null
  const present = newest?.nodes ?? []
  const openRows = wantsOpen ? inOrder(open.rows, ranks.current).map((row) => asOfNow(row, heard.get(row.id))) : []
  const shown = new Set(openRows.map((row) => row.id))
  const rows = [...openRows, ...(wantsResolved ? resolved.rows.filter((row) => !shown.has(row.id)) : [])]
  const fresh = open.fresh ? present.filter((one) => !shown.has(one.id)) : []
  // Rows of what is over come below those that are open, and never before them.
  const isEarly = !isTold || (wantsOpen && !open.data && !open.error)
  const isAsking = isEarly || (wantsResolved && !resolved.data && !resolved.error)
  const isStale = (wantsOpen && open.isStale) || (wantsResolved && resolved.isStale)
  const isFiltered = [...place.value.params.keys()].some((name) => name !== 'after')
  const isFailed = open.error !== null || resolved.error !== null
  // Rows that stand still do not say what is open: the newest answer does, where it is of all that are.
  const isWhole = wantsOpen && openAfter === null && newest !== null && !newest.pageInfo.hasNextPage && !open.isStale && !open.error
  const noneOpen = isWhole && present.length === 0 && !openRows.some((row) => row.state === 'OPEN')

  return (
    <Page title="Notifications" actions={<LiveSwitch isDeaf={!isLive.value} />}>
      <Filters>
        <Several name="kind" label="Kind" options={KINDS} />
        <Select name="platform" label="Platform" options={KEYS.map((key) => [key, titleOf(key)])} />
        <Select
          name="state"
          label="State"
          options={[
            ['OPEN', 'Open'],
            ['RESOLVED', 'Resolved'],
          ]}
        />
        <TimeRange />
      </Filters>
      {told.data && <NobodyIsTold merchant={told.data.merchant} />}
      <ErrorNotice error={open.error ?? resolved.error ?? told.error} again={(open.error ? open : resolved.error ? resolved : told).again} />
      <div class="fresh" role="status">
        {fresh.length > 0 && (
          <button
            type="button"
            onClick={() => {
              ranks.current.clear()
              open.show()
            }}
          >
            {fresh.length === 1 ? `New: ${fresh[0]!.title}` : `${counted(fresh.length, 'new alert')}: ${fresh[0]!.title}, …`}
            <b>show</b>
          </button>
        )}
      </div>
      {!isAsking && noneOpen && rows.length > 0 && (
        <Notice tone="good">
          <p>{isFiltered ? 'No alert of these is open.' : 'No alert is open: nothing that TrackLayer watches is amiss.'}</p>
        </Notice>
      )}
      {!isAsking && !isStale && rows.length === 0 && !isFailed && <Nothing isFiltered={isFiltered} isLater={after !== null} />}
      {!isEarly && rows.length > 0 && (
        <Table
          label="Alerts"
          rows={rows}
          isStale={isStale}
          href={(row) => `/notifications/${encodeURIComponent(row.id)}`}
          columns={[
            { name: 'Alert', cell: (row) => row.title },
            { name: 'State', cell: (row) => <SeverityMark severity={row.severity} state={row.state} /> },
            { name: 'Kind', cell: (row) => kindName(row.kind), isMinor: true },
            { name: 'About', cell: about, isMinor: true },
            { name: 'Opened', cell: (row) => <Time at={row.openedAt} /> },
            { name: 'Lasted', cell: lasted, isMinor: true },
            { name: 'Known', cell: (row) => <Known row={row} />, isMinor: true },
          ]}
        />
      )}
      {(isAsking || (isStale && rows.length === 0 && !isFailed)) && <Loading />}
      <Pager page={wantsResolved ? resolved : { ...open, pageInfo: { hasNextPage: moreOpen !== null, endCursor: OF_OPEN + moreOpen } }} />
      <p class="quiet">
        <a href={GUIDE}>What TrackLayer watches, and when it speaks</a>
      </p>
    </Page>
  )
}

/** What the subscription told of each alert while this list is here; a change also asks for the open ones anew. */
function useChanges(again: () => void): ReadonlyMap<string, AlertChange> {
  const heard = useRef(new Map<string, AlertChange>())
  const [, setTurn] = useState(0)
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const first = lastChange.peek()
    const stop = lastChange.subscribe((change) => {
      if (!change || change === first) return
      heard.current.set(change.id, change)
      clearTimeout(timer)
      timer = setTimeout(() => {
        if (isPaused.peek()) return
        setTurn((one) => one + 1)
        again()
      }, GATHER_MS)
    })
    return () => {
      stop()
      clearTimeout(timer)
    }
  }, [again])
  return heard.current
}

/** A row of the open ones as it is now: one that is over stays where it is, and says so. It is over where that was told, and
 * not where it is merely missing: no answer came, or others pushed it away. */
function asOfNow(row: AlertRow, change: AlertChange | undefined): AlertRow {
  if (change?.state !== 'RESOLVED' || isPaused.value) return row
  return { ...row, state: 'RESOLVED', resolvedAt: change.resolvedAt }
}

/** The gravest first, then the newest. A row keeps its place when it becomes graver: it is being read. */
function inOrder(rows: AlertRow[], ranks: Map<string, number>): AlertRow[] {
  for (const row of rows) if (!ranks.has(row.id)) ranks.set(row.id, row.severity === 'CRITICAL' ? 0 : 1)
  return [...rows].sort((one, other) => ranks.get(one.id)! - ranks.get(other.id)!)
}

function about(row: AlertRow) {
  const parts = [row.platform ? titleOf(row.platform) : null, row.eventName].filter(Boolean)
  return parts.length ? parts.join(', ') : <span class="quiet">all events</span>
}

function lasted(row: AlertRow) {
  if (row.state === 'OPEN') return duration(now.value - new Date(row.openedAt).getTime())
  return row.resolvedAt ? duration(new Date(row.resolvedAt).getTime() - new Date(row.openedAt).getTime()) : ''
}

function Known({ row }: { row: AlertRow }) {
  const isAsleep = row.state === 'OPEN' && row.snoozedUntil !== null && new Date(row.snoozedUntil).getTime() > now.value
  return (
    <span class="badges">
      {row.acknowledgedAt && (
        <Badge tone="good" title={exactTime(row.acknowledgedAt)}>
          acknowledged
        </Badge>
      )}
      {isAsleep && (
        <Badge tone="wait" title={`Until ${exactTime(row.snoozedUntil!)}`}>
          snoozed
        </Badge>
      )}
    </span>
  )
}

function Nothing({ isFiltered, isLater }: { isFiltered: boolean; isLater: boolean }) {
  if (isLater) return <Empty title="There are no older ones." />
  if (isFiltered) {
    return (
      <Empty title="No alert is like that.">
        <p>Take back a filter, or choose a longer time.</p>
      </Empty>
    )
  }
  return (
    <Empty title="There has never been an alert.">
      <p>
        TrackLayer learns what is normal for you and watches your platforms, your events and their values. When
        something costs you conversions, it stands here at once, with what to do about it.
      </p>
    </Empty>
  )
}

/** Alerts that only this page shows are seen too late. */
function NobodyIsTold({ merchant: { alertEmails, alertChannels, alertsUntold, warningsUntold, sendsMail } }: WhoIsToldQuery) {
  const add = <a href="/settings#channels">Add {sendsMail ? 'one' : 'a webhook or Slack channel'}</a>
  if (alertsUntold.length && alertsUntold.length < KINDS.length)
    return (
      <Notice tone="warn">
        <p>
          Nobody is told of alerts of these kinds: {namesOf(alertsUntold)}. {add}, or have a channel take them.
        </p>
      </Notice>
    )
  if (alertsUntold.length)
    return (
      <Notice tone="warn">
        <p>
          Nobody is told of alerts:{' '}
          {[
            alertEmails.length > 0 && 'there are mail addresses, and no mail server is set up that could send to them',
            alertChannels.length > 0 && 'no channel takes any',
          ]
            .filter(Boolean)
            .join('; ') || 'there is no mail address, webhook or Slack channel'}
          . {add}
          {alertChannels.length > 0 && ', or have a channel take them'}, so that you hear of trouble while it is small.
        </p>
      </Notice>
    )
  if (!warningsUntold.length) return null
  return (
    <p class="quiet">
      {warningsUntold.length < KINDS.length ? `Of these kinds nobody is told of warnings: ${namesOf(warningsUntold)}.` : 'Nobody is told of warnings: of critical alerts alone.'}{' '}
      <a href="/settings#channels">Channels</a>
    </p>
  )
}

const namesOf = (kinds: AlertKind[]) => kinds.map(kindName).join(', ')
