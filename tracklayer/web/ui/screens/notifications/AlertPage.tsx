import { useEffect } from 'preact/hooks'

import { useAsk, usePage } from '../../lib/ask'
import { count } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { isLive, lastChange } from '../../lib/live'
import { titleOf, type Platform } from '../../lib/platforms'
import { param } from '../../lib/router'
import { session } from '../../lib/session'
import { duration, now } from '../../lib/time'
import { Fresh, LiveSwitch, Pager } from '../../parts/List'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Facts, Page, Section } from '../../parts/Page'
import { Badge, DeliveryMark, DestinationMark, SeverityMark } from '../../parts/Status'
import { Table } from '../../parts/Table'
import { Ticked } from '../../parts/Ticked'
import { Time } from '../../parts/Time'
import {
  AdviceNow,
  AlertById,
  DeliveriesMeanwhileAgain,
  DeliveriesOfAlert,
  type AdviceLineFragment as Advice,
  type AdviceNowQuery,
  type AlertByIdQuery,
  type DeliveriesOfAlertQuery,
} from './alert.gql'
import { AlertChart } from './AlertChart'
import { Care } from './Care'
import { Figures } from './Figures'
import './notifications.css'
import { TestSend } from './TestSend'
import { GUIDE, RULES, kindName } from './words'

const OPEN_EVERY_MS = 15_000

type Alert = Extract<NonNullable<AlertByIdQuery['node']>, { __typename: 'Alert' }>

/** One alert: what mails, webhooks and Slack link to. */
export function AlertPage({ id }: { id: string }) {
  const asked = useAsk(AlertById, { id }, { every: OPEN_EVERY_MS })
  useEffect(() => {
    const first = lastChange.peek()
    return lastChange.subscribe((change) => {
      if (change && change !== first && change.id === id) asked.again()
    })
  }, [id, asked.again])

  const node = asked.data?.node
  const alert = node?.__typename === 'Alert' ? node : null
  // One page whatever is known: its heading stays where a reader was brought to.
  return (
    <Page title={alert ? alert.title : asked.data ? 'No such alert' : 'Alert'} actions={alert && <LiveSwitch isDeaf={!isLive.value} />}>
      <ErrorNotice error={asked.error} again={asked.again} />
      {!asked.data && !asked.error && <Loading />}
      {alert ? <Whole alert={alert} changed={asked.again} /> : asked.data && <Unknown />}
    </Page>
  )
}

function Unknown() {
  return (
    <Empty title="There is no such alert here.">
      <p>
        The link may have been cut off on its way: open it from the mail again, or copy all of it. Or the alert belongs to
        another merchant: you are signed in as {session.value?.merchant.name ?? 'somebody else'}.
      </p>
      <p>
        <a href="/notifications">All notifications</a>
      </p>
    </Empty>
  )
}

function Whole({ alert, changed }: { alert: Alert; changed: () => void }) {
  const isOver = alert.state === 'RESOLVED'
  const advice = useAsk(AdviceNow, {}, { every: OPEN_EVERY_MS })
  const until = alert.resolvedAt ? new Date(alert.resolvedAt).getTime() : now.value
  return (
    <>
      <p class="badges">
        <SeverityMark severity={alert.severity} state="OPEN" />
        {alert.state === 'RESOLVED' ? <SeverityMark severity={alert.severity} state="RESOLVED" /> : <Badge tone="bad">open</Badge>}
        <Badge>{kindName(alert.kind)}</Badge>
        {alert.platform && (
          <a class="badge" href={`/destinations/${alert.platform.toLowerCase()}`}>
            {titleOf(alert.platform)}
          </a>
        )}
        {alert.eventName && (
          <a class="badge" title="Events of this name" href={eventsOf(alert.eventName, beganAt(alert))}>
            {alert.eventName}
          </a>
        )}
      </p>
      <Section title={isOver ? 'It is over: what was told when it opened' : 'What happened, and what to do'}>
        <p class="told">
          <Ticked text={alert.message} />
        </p>
        <Facts
          rows={[
            ['Opened', <Time at={alert.openedAt} exact />],
            [alert.state === 'OPEN' ? 'Open for' : 'Lasted', duration(until - new Date(alert.openedAt).getTime())],
            ['Last seen', <Time at={alert.lastSeenAt} exact={isOver} />],
            ['Resolved', alert.resolvedAt && <Time at={alert.resolvedAt} exact />],
          ]}
        />
        <p class="guides">
          <a href={GUIDE}>What this kind of alert means</a> · <a href={RULES}>How it is judged</a>
        </p>
      </Section>
      <AlertChart id={alert.id} kind={alert.kind} openedAt={alert.openedAt} resolvedAt={alert.resolvedAt} />
      <div class="columns">
        <Section title={isOver ? 'Figures of then' : 'Figures'}>
          <Figures details={alert.details} isOver={isOver} />
        </Section>
        <Care alert={alert} changed={changed} />
      </div>
      {alert.platform && <TestSend key={alert.platform} platform={alert.platform} />}
      <ErrorNotice error={advice.error} again={advice.again} />
      {advice.data && <NextSteps platform={alert.platform} merchant={advice.data.merchant} />}
      {/* No rows before what stands above them is there: it would push them down. */}
      <Meanwhile alert={alert} isEarly={!advice.data && !advice.error} />
    </>
  )
}

/** Since when it holds, which is before it was found. */
function beganAt({ details, openedAt }: Alert): string {
  const since = (details as { since?: unknown } | null)?.since
  return typeof since === 'string' && Date.parse(since) < Date.parse(openedAt) ? since : openedAt
}

function eventsOf(name: string, since: string): string {
  return `/events?${new URLSearchParams({ name, since }).toString()}`
}

/** Advice that stands now, of the platform or of the merchant; nothing where there is none. */
function NextSteps({ platform, merchant }: { platform: Platform | null; merchant: AdviceNowQuery['merchant'] }) {
  const destination = merchant.destinations.find((one) => one.platform === platform)
  const advice: Advice[] = [...(destination?.advice ?? []), ...merchant.advice]
  if (!destination && !advice.length) return null
  return (
    <Section title="As it is now">
      {destination && (
        <Facts
          rows={[
            [titleOf(destination.platform), <DestinationMark state={destination.state} />],
            ['Why', destination.stateReason],
            ['Waiting', count(destination.waiting)],
          ]}
        />
      )}
      {advice.length > 0 && (
        <ul class="advice">
          {advice.map((one) => (
            <li key={`${one.code} ${one.eventName ?? ''}`}>
              <Ticked text={one.sentence} /> <Ticked text={one.nextStep} />
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

type DeliveriesNode = Extract<NonNullable<DeliveriesOfAlertQuery['node']>, { __typename: 'Alert' }>
const NONE: DeliveriesNode['deliveries'] = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } }

/** The deliveries that waited or were lost from when it began until it was over. */
function Meanwhile({ alert, isEarly }: { alert: Alert; isEarly: boolean }) {
  const after = param('after')
  const page = usePage(
    DeliveriesOfAlert,
    { id: alert.id, after },
    (data) => (data.node?.__typename === 'Alert' ? data.node.deliveries : NONE),
    {
      every: alert.state === 'OPEN' ? OPEN_EVERY_MS : 0,
      isFirst: after === null,
      renewal: { operation: DeliveriesMeanwhileAgain, pick: (data) => data.nodes },
    },
  )
  const search = new URLSearchParams({ queuedSince: beganAt(alert) })
  if (alert.resolvedAt) search.set('queuedUntil', alert.resolvedAt)
  if (alert.platform) search.set('platform', alert.platform)
  return (
    <div class="meanwhile">
      <Section title="Deliveries meanwhile" actions={<a href={`/deliveries?${search.toString()}`}>In the list of deliveries</a>}>
        <ErrorNotice error={page.error} again={page.again} />
        {alert.state === 'OPEN' && after === null && <Fresh page={page} />}
        {(isEarly || !page.data) && !page.error && <Loading />}
        {page.data !== null && page.rows.length === 0 && <p class="quiet">None waited, and none was lost.</p>}
        {!isEarly && page.rows.length > 0 && (
          <Table
            label="Deliveries meanwhile"
            rows={page.rows}
            isStale={page.isStale}
            asCards
            href={(row) => eventHref(row.event.eventId)}
            columns={[
              { name: 'Event', cell: (row) => row.event.eventId },
              { name: 'Name', cell: (row) => row.event.eventName, isMinor: true },
              ...(alert.platform ? [] : [{ name: 'Platform', cell: (row: (typeof page.rows)[number]) => titleOf(row.platform) }]),
              { name: 'State', cell: (row) => <DeliveryMark status={row.status} held={row.held} reason={row.dropReason} /> },
              { name: 'Queued', cell: (row) => <Time at={row.queuedAt} short />, isMinor: true },
              { name: 'Attempts', cell: (row) => row.attempts, isNumber: true, isMinor: true },
              { name: 'Last error', cell: (row) => row.lastError, isMinor: true, isWords: true },
            ]}
          />
        )}
        <Pager page={page} />
      </Section>
    </div>
  )
}
