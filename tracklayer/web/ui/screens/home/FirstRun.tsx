// The first minutes: three steps that turn green by themselves as they happen.

import type { ComponentChildren } from 'preact'

import { counted, latency } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { titleOf } from '../../lib/platforms'
import { Code } from '../../parts/Code'
import { Section } from '../../parts/Page'
import { Mark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import type { FirstRunQuery } from './home.gql'

const QUERY =
  'mutation($input: IngestEventInput!) { ingestEvent(input: $input) { outcome userErrors { field code message } } }'

/** A command line that sends a purchase of this moment; the key stays out of it. */
export function curl(origin: string, at: Date): string {
  const number = at.toISOString().slice(11, 19).replaceAll(':', '')
  const input = {
    eventName: 'Purchase',
    eventId: `order_${number}`,
    occurredAt: at.toISOString(),
    eventSourceUrl: 'https://shop.example.com/thank-you',
    userData: {
      email: 'jane@example.com',
      clientIp: '203.0.113.42',
      clientUserAgent: 'Mozilla/5.0',
      gaClientId: '1234567890.1713877200',
    },
    customData: { value: 129.99, currency: 'USD', orderId: number },
  }
  return [
    `curl -s ${origin}/graphql \\`,
    '  -H "Authorization: Bearer $API_KEY" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${JSON.stringify({ query: QUERY, variables: { input } })}'`,
  ].join('\n')
}

/** `refused`: how many events came and were refused. */
export function FirstRun({
  found,
  refused,
  command,
  close,
}: {
  found: FirstRunQuery
  refused: number
  command: string
  close: () => void
}) {
  const { destinations } = found.merchant
  const event = found.events.nodes[0]
  const delivered = found.deliveries.nodes[0]
  const sent = event?.deliveries ?? []
  const isOver = destinations.length > 0 && event !== undefined && delivered !== undefined
  return (
    <Section title="Your first event" actions={isOver ? <button class="main" onClick={close}>Go on to Home</button> : undefined}>
      <p class="quiet">Three steps. Each turns green by itself as soon as it has happened; you need not reload.</p>
      <ol class="first-run">
        <Step isDone={destinations.length > 0} title="A destination is there">
          {destinations.length > 0 ? (
            <p>
              Events go to {counted(destinations.length, 'platform')}: {destinations.map((one) => titleOf(one.platform)).join(', ')}.
            </p>
          ) : (
            <p>
              Tell TrackLayer where your events go: <a href="/destinations">add a destination</a>. It takes the platform’s
              credentials and can be tried before anything is sent.
            </p>
          )}
        </Step>
        <Step isDone={event !== undefined} title={event || !refused ? 'The first event arrived' : 'The first event that is not refused'}>
          {event ? (
            <p>
              <a href={eventHref(event.eventId)}>{event.eventId}</a>, {event.eventName},{' '}
              <Time at={event.receivedAt} />.
            </p>
          ) : (
            <>
              {refused > 0 && (
                <p>
                  {counted(refused, 'event')} arrived and {refused === 1 ? 'was' : 'were'} refused: <a href="#refused">what was wrong</a>{' '}
                  stands below.
                </p>
              )}
              <p>
                Send one from a terminal, with your API key in the variable <code>API_KEY</code>:
              </p>
              <Code text={command} label="A command that sends an event" />
            </>
          )}
        </Step>
        <Step isDone={delivered !== undefined} title="It was delivered to a platform">
          {delivered ? (
            <p>
              {titleOf(delivered.platform)} acknowledged{' '}
              <a href={eventHref(delivered.event.eventId)}>{delivered.event.eventId}</a>
              {delivered.latencyMs != null && <> {latency(delivered.latencyMs)} after it arrived</>}.
            </p>
          ) : event && !sent.length ? (
            <p>
              No destination takes it. <a href="/destinations">Add one</a>, or see which event names those there take.
            </p>
          ) : event && sent.every((one) => one.status === 'DROPPED') ? (
            <p>
              It was given up. <a href={eventHref(event.eventId)}>See why, and what to do</a>.
            </p>
          ) : (
            <p>This takes a second once an event is there.</p>
          )}
        </Step>
      </ol>
      <p>
        More: <a href="/docs/quickstart">the quickstart</a>, <a href="/docs/api">the API</a>.
      </p>
    </Section>
  )
}

function Step({ isDone, title, children }: { isDone: boolean; title: string; children: ComponentChildren }) {
  return (
    <li class={isDone ? 'done' : ''}>
      <h3>
        {title} <Mark tone={isDone ? 'good' : 'wait'} word={isDone ? 'Done' : 'Waiting for it'} />
      </h3>
      {children}
    </li>
  )
}
