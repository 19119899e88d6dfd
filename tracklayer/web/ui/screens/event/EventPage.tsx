// What became of one event: on which platform, after which attempts, what to do, and what would be sent today.

import { useState } from 'preact/hooks'

import { useAsk, type Asked } from '../../lib/ask'
import { counted, money } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { titleOf } from '../../lib/platforms'
import { may } from '../../lib/session'
import { clock, exactTime } from '../../lib/time'
import { Action, Copy } from '../../parts/Action'
import { Code } from '../../parts/Code'
import { LiveSwitch } from '../../parts/List'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Page, Section } from '../../parts/Page'
import { Badge, SeverityMark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { asCurl, asGraphQL, inputOf } from './copies'
import { DeliveryCard, type Preview } from './DeliveryCard'
import { OneEvent, SentToday, type OneEventQuery, type SentTodayQuery } from './event.gql'
import { NotFound } from './NotFound'
import { RedeliverDialog } from './Redeliver'
import { Stored } from './Stored'
import { finding, isWaiting, type Event } from './story'
import { Timeline } from './Timeline'
import './event.css'

const SOON = 2500 // ms, while something is on its way
const CALM = 15_000

export function EventPage({ eventId }: { eventId: string }) {
  const [isMoving, setMoving] = useState(true)
  const asked = useAsk(OneEvent, { eventId }, { every: isMoving ? SOON : CALM })
  const event = asked.data?.event ?? null
  const moves = event === null || event.deliveries.some((one) => isWaiting(one) && isDueSoon(one.nextRetryAt))
  if (asked.data && moves !== isMoving) setMoving(moves)
  const [asks, setAsks] = useState<string[] | null>(null)
  // Asked once, and not with every look: it maps the event for each platform.
  const today = useAsk(SentToday, { eventId }, { when: event !== null && event.deliveries.length > 0 })
  const previews = new Map(today.data?.event?.deliveries.map((one) => [one.id, one.preview]) ?? [])
  const mendable = event?.deliveries.filter((one) => one.mayRedeliver) ?? []
  useKeys([
    {
      keys: 'r',
      does: 'Redeliver what was not taken',
      run: () => {
        if (mendable.length && may('ADMIN')) setAsks(mendable.map((one) => one.id))
      },
    },
  ])

  return (
    <Page
      title={eventId}
      actions={
        event && (
          <>
            <LiveSwitch />
            <Copy text={event.eventId}>Copy id</Copy>
            <Copy text={() => asCurl(event)}>Copy as curl</Copy>
            <Copy text={() => asGraphQL(event)}>Copy as GraphQL</Copy>
            {mendable.length > 0 && (
              <Action scope="ADMIN" kind="main" title="Redeliver (r)" run={() => setAsks(mendable.map((one) => one.id))}>
                Redeliver …
              </Action>
            )}
          </>
        )
      }
    >
      <ErrorNotice error={asked.error} again={asked.again} />
      {asked.data === null && !asked.error && <Loading what="Looking for the event" />}
      {asked.data && !event && <NotFound eventId={eventId} retentionDays={asked.data.merchant.retentionDays} />}
      {asked.data && event && <Found event={event} merchant={asked.data.merchant} previews={previews} today={today} redeliver={(id) => setAsks([id])} />}
      {asks && <RedeliverDialog ids={asks} close={() => setAsks(null)} done={asked.again} />}
    </Page>
  )
}

/** Within two minutes, or it is not known when. */
function isDueSoon(at: string | null): boolean {
  return at === null || Date.parse(at) - clock() < 120_000
}

type Merchant = OneEventQuery['merchant']

function Found({
  event,
  merchant,
  previews,
  today,
  redeliver,
}: {
  event: Event
  merchant: Merchant
  previews: Map<string, Preview>
  today: Asked<SentTodayQuery>
  redeliver: (id: string) => void
}) {
  // What needs a hand first.
  const order = { DROPPED: 0, FAILED: 1, QUEUED: 2, DELIVERED: 3 }
  const deliveries = [...event.deliveries].sort((one, other) => order[one.status] - order[other.status])
  const missing = inputOf(event).missing

  return (
    <>
      <p class="event-lead">
        <strong>{event.eventName}</strong>
        {event.custom.value !== null && <span>{money(event.custom.value, event.custom.currency)}</span>}
        <span>
          arrived <Time at={event.receivedAt} />
        </span>
        {event.timesReceived > 1 && <Badge>×{event.timesReceived}</Badge>}
        <span>{finding(event)}</span>
      </p>
      {event.deliveries.length > 0 && (
        <Section title="What happened">
          <Timeline event={event} />
        </Section>
      )}
      <Section title="Platforms">
        {deliveries.map((one) => (
          <DeliveryCard
            key={one.id}
            event={event}
            delivery={one}
            preview={previews.get(one.id)}
            isAsked={today.data !== null}
            redeliver={() => redeliver(one.id)}
          />
        ))}
        <ErrorNotice error={today.error} again={today.again} />
        <NotRouted event={event} merchant={merchant} />
      </Section>
      {event.alerts.length > 0 && (
        <Section title="Alerts meanwhile">
          <ul class="event-alerts">
            {event.alerts.map((alert) => (
              <li key={alert.id}>
                <SeverityMark severity={alert.severity} state={alert.state} />
                <a href={`/notifications/${encodeURIComponent(alert.id)}`}>{alert.title}</a>
                <span class="quiet">
                  {alert.platform && `${titleOf(alert.platform)}, `}
                  <Time at={alert.openedAt} short />
                  {alert.resolvedAt && (
                    <>
                      {' to '}
                      <Time at={alert.resolvedAt} short />
                    </>
                  )}
                </span>
              </li>
            ))}
          </ul>
        </Section>
      )}
      {event.timesReceived > 1 && (
        <Section title="Repeats">
          <p>
            Received {counted(event.timesReceived, 'time')}, last at {exactTime(event.lastReceivedAt)}. It counts once, and platforms got
            what came first.
          </p>
          {event.lastDifference ? (
            <Notice tone="warn">
              <p>
                A repeat at {exactTime(event.lastDifference.at)} differed in{' '}
                {event.lastDifference.fields.map((field, index) => (
                  <span key={field}>
                    {index > 0 && ', '}
                    <code>{field}</code>
                  </span>
                ))}
                . What it held instead is not kept.
              </p>
              <p>If the two are two actions, give each an event id of its own. If it is one, send it once its values are final.</p>
            </Notice>
          ) : (
            <p class="quiet">No repeat is known to have differed from the first.</p>
          )}
        </Section>
      )}
      <Section title="What is kept">
        <Stored event={event} />
      </Section>
      <Section title="As a call of the API">
        <p>
          Sent as it is, it is a repeat: counted, and not delivered again. Give it an <code>eventId</code> of its own to send another one.
          The key is a variable of your shell. Email and phone are in it as they are kept, as a SHA-256 unless hashing is off; both forms
          are taken.
        </p>
        {missing.length > 0 && (
          <Notice tone="warn">
            <p>
              Missing in the copy, because it is kept sealed: <code>{missing.join(', ')}</code>. Add it yourself where you need it.
            </p>
          </Notice>
        )}
        <details>
          <summary>curl</summary>
          <Code text={asCurl(event)} label="The event as a curl command" />
        </details>
        <details>
          <summary>GraphQL</summary>
          <Code text={asGraphQL(event)} label="The event as GraphQL" />
        </details>
      </Section>
    </>
  )
}

/** Destinations without a delivery of this event, and why. */
function NotRouted({ event, merchant }: { event: Event; merchant: Merchant }) {
  const routed = new Set(event.deliveries.map((one) => one.platform))
  const others = merchant.destinations.filter((one) => !routed.has(one.platform))
  if (!merchant.destinations.length && !event.deliveries.length)
    return (
      <Notice tone="warn">
        <p>
          It is kept, and goes nowhere: there is no destination yet. <a href="/destinations">Add the first one</a>; stored events can be
          delivered to it afterwards.
        </p>
      </Notice>
    )
  return (
    <ul class="not-routed">
      {others.map((one) => (
        <li key={one.platform}>
          <a href={`/destinations/${one.platform.toLowerCase()}`}>{titleOf(one.platform)}</a>{' '}
          <span class="quiet">
            {one.eventNames !== null && !one.eventNames.includes(event.eventName)
              ? `is not sent this event: it takes only ${one.eventNames.join(', ') || 'no event at all'}.`
              : Date.parse(one.createdAt) > Date.parse(event.receivedAt)
                ? 'was added after this event came. Its page can deliver stored events.'
                : 'has no delivery of this event: it took other events when this one came. Its page can deliver stored events.'}
          </span>
        </li>
      ))}
    </ul>
  )
}
