// Delivery by delivery, the newest queued first: they stand still, and can be chosen to be sent again.

import { useEffect, useRef, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { usePage } from '../../lib/ask'
import { counted, latency, words } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { eventHref } from '../../lib/links'
import { titleOf } from '../../lib/platforms'
import { param } from '../../lib/router'
import { may } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Fresh, Pager } from '../../parts/List'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { Badge, DeliveryMark } from '../../parts/Status'
import { Table, type Column } from '../../parts/Table'
import { Time } from '../../parts/Time'
import { DeliveriesAgain, DeliveryRows, type DeliveriesAgainQuery, type DeliveryFilter, type DeliveryRowsQuery } from './deliveries.gql'
import { isEmpty } from './filter'

type Row = DeliveryRowsQuery['deliveries']['nodes'][number]

const columns: Column<Row>[] = [
  { name: 'Event', cell: (row) => <span class="event-id">{row.event.eventId}</span> },
  { name: 'Name', cell: (row) => row.event.eventName, isMinor: true },
  {
    name: 'Platform and status',
    cell: (row) => (
      <>
        <div>{titleOf(row.platform)}</div>
        <DeliveryMark status={row.status} held={row.held} reason={row.dropReason} />
        {row.dropReason && <div class="quiet">{words(row.dropReason)}</div>}
        {row.duplicateRisk && (
          <Badge tone="warn" title="An attempt got no answer, another followed or is to come, and the platform may count both.">
            May count twice
          </Badge>
        )}
      </>
    ),
  },
  { name: 'What was said', cell: (row) => <Said row={row} />, isWords: true },
  { name: 'Next', cell: (row) => <Next row={row} /> },
  { name: 'Attempts', cell: (row) => row.attempts, isNumber: true, isMinor: true },
  { name: 'Queued', cell: (row) => <Time at={row.queuedAt} /> },
  { name: 'Latency', cell: (row) => (row.latencyMs === null ? '' : latency(row.latencyMs)), isNumber: true, isMinor: true },
]

function Said({ row }: { row: Row }) {
  if (!row.lastError && !row.explanation) return <span class="quiet nothing">–</span>
  const text = (
    <>
      {row.explanation && row.explanation.code !== row.dropReason && <code>{row.explanation.code}</code>}{' '}
      {row.lastError ?? row.explanation?.summary}
    </>
  )
  if (!row.explanation) return <div class="said-words">{text}</div>
  return (
    <details class="said-words">
      <summary>{text}</summary>
      <p class="quiet">
        {row.explanation.summary} {row.explanation.nextStep}
      </p>
    </details>
  )
}

function Next({ row }: { row: Row }) {
  if (row.status === 'DELIVERED' || row.status === 'DROPPED') return <span class="quiet nothing">–</span>
  return (
    <div class="next">
      {row.nextRetryAt && (
        <div>
          {row.held ? 'Looked at again ' : 'Tried again '}
          <Time at={row.nextRetryAt} />
        </div>
      )}
      {row.windowEndsAt && (
        <div class="quiet">
          Given up <Time at={row.windowEndsAt} />
        </div>
      )}
    </div>
  )
}

export function Rows({
  filter,
  redeliver,
  redeliverIds,
  turn,
  isEarly,
  settled,
}: {
  filter: DeliveryFilter
  redeliver: (sent: () => void) => void
  redeliverIds: (ids: string[], sent: () => void) => void
  /** Counts what was done, after which rows are asked for anew. */
  turn: number
  /** Whether what stands above is not there yet: its rows would be pushed away under one's eyes. */
  isEarly: boolean
  /** Called when rows are there, or failed. */
  settled: () => void
}) {
  const after = param('after')
  const found = usePage(DeliveryRows, { filter, after }, (data: DeliveryRowsQuery) => data.deliveries, {
    isFirst: after === null,
    renewal: { operation: DeliveriesAgain, pick: (data: DeliveriesAgainQuery) => data.nodes },
  })
  const last = useRef<typeof found | null>(null)
  if (!isEarly) last.current = found
  const before = last.current ?? { ...found, data: null, rows: [], pageInfo: null }
  const page = isEarly ? { ...before, error: found.error, isStale: true, fresh: 0 } : found
  const isThere = !isEarly && (page.data !== null || page.error !== null)
  useEffect(() => {
    if (isThere) settled()
  }, [isThere])
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const key = JSON.stringify([filter, after])
  const chooseNone = () => setChosen(new Set())
  useEffect(chooseNone, [key])
  useEffect(() => {
    if (turn) page.again()
  }, [turn])

  // Of those that are seen: a row that new ones pushed away is chosen no more.
  const picked = page.rows.filter((row) => chosen.has(row.id))

  const choose = (id: string) => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    setChosen(next)
  }
  const send = () => {
    if (!may('ADMIN')) say('Your key lacks the scope ADMIN. Sign in with a key that has it.', { isBad: true })
    else if (!picked.length) say('Select rows with x first.')
    else redeliverIds(
        picked.map((row) => row.id),
        chooseNone,
      )
  }
  useKeys([{ keys: 'r', does: 'Redeliver the selected rows', run: send }])

  const isOfEnded = !filter.status || filter.status.some((status) => status === 'FAILED' || status === 'DROPPED')
  return (
    <Section
      title={isEmpty(filter) ? 'All deliveries, newest first' : 'Deliveries that match, newest first'}
      actions={
        <>
          {picked.length > 0 && (
            <>
              <Action scope="ADMIN" kind="main" run={send}>
                Redeliver {counted(picked.length, 'selected row')} …
              </Action>
              <button type="button" class="plain" onClick={chooseNone}>
                Select none
              </button>
            </>
          )}
          {isOfEnded && page.rows.length > 0 && (
            <Action scope="ADMIN" run={() => redeliver(chooseNone)}>
              {isEmpty(filter) ? 'Redeliver all failed and dropped …' : 'Redeliver all that match …'}
            </Action>
          )}
        </>
      }
    >
      <ErrorNotice error={page.error} again={page.again} />
      {!page.data && !page.error && <Loading />}
      <Fresh page={page} />
      {page.rows.length > 0 && (
        <div class="delivery-rows">
          <Table
            label="Deliveries"
            columns={columns}
            rows={page.rows}
            href={(row) => eventHref(row.event.eventId)}
            chosen={chosen}
            choose={choose}
            nameOf={(row) => `${row.event.eventId}, ${titleOf(row.platform)}`}
            isStale={page.isStale}
            asCards
          />
        </div>
      )}
      {page.data !== null && !page.isStale && page.rows.length === 0 && !page.pageInfo?.searchedUntil && <None filter={filter} isLater={after !== null} />}
      <Pager page={page} />
    </Section>
  )
}

function None({ filter, isLater }: { filter: DeliveryFilter; isLater: boolean }) {
  if (isLater) return <Empty title="There are no older ones." />
  if (!isEmpty(filter))
    return (
      <Empty title="No delivery matches.">
        <p>Clear a filter, or look at a longer time.</p>
      </Empty>
    )
  return (
    <Empty title="No deliveries yet.">
      <p>
        They appear here as soon as an event arrives and a destination takes it. <a href="/">Home</a> shows how to send the
        first one.
      </p>
    </Empty>
  )
}
