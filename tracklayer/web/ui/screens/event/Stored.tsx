// What is kept of an event, as lists to read and as JSON with its numbers as they were sent.

import type { ComponentChildren } from 'preact'

import { Digits, type Json } from '../../lib/exact'
import { counted, HIDDEN, money, words } from '../../lib/format'
import { JsonView } from '../../parts/Code'
import { Facts } from '../../parts/Page'
import { Badge } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { length, type Event } from './story'

/** Where a value came from. No browser shows who uses it: that an event or `identify` said. */
function origin(field: string, source: string): string {
  if (source !== 'cookie') return 'shown by a browser that was seen with the same person'
  return /^(email|phone)s?$/.test(field) ? 'said of the same browser by another event, or by identify' : 'shown by the browser that the event names'
}

const notes = {
  CONSENT_DENIED: 'Nothing was added: consent was denied.',
  SHARED_BROWSER: 'Whose it is cannot be known: its browser was seen with two people of late.',
  MAILBOX_OF_MANY: "Nothing was added: its email or phone is a counter's or a team's, seen with very many browsers or events.",
  BROWSER_OF_MANY: 'Nothing was added: its browser was seen with very many people, as that of a till or a call centre.',
  NO_BROWSER_KNOWN: 'Nothing was added: no browser is known that it could come from.',
  OUT_OF_TIME: 'Nothing was added: what is known is too old for it, or came after it.',
}

export type Fields = { [key: string]: Json }

export function fieldsOf(value: Json): Fields {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Digits) ? value : {}
}

export function Stored({ event }: { event: Event }) {
  const user = fieldsOf(event.userData)
  const custom = fieldsOf(event.customData)
  const device = fieldsOf(event.device)
  const { contents, properties, value, currency, ...rest } = custom
  const delay = Date.parse(event.receivedAt) - Date.parse(event.occurredAt)
  return (
    <div class="stored">
      <div>
        <h3>The event</h3>
        <Facts
          rows={[
            ['Name', event.eventName],
            [
              'Happened',
              <>
                <Time at={event.occurredAt} exact />
                <span class="quiet">
                  {delay > 1000 && `, ${length(delay)} before it arrived`}
                  {delay < -1000 && `, ${length(-delay)} after it arrived: the sender's clock is ahead`}
                </span>
              </>,
            ],
            ['Arrived', <Time at={event.receivedAt} exact />],
            ['Where', words(event.actionSource)],
            ['Page', event.eventSourceUrl && <span class="verbatim">{event.eventSourceUrl}</span>],
            [
              'Consent',
              [
                `use for ads: ${event.consent.adUserData.toLowerCase()}`,
                `personalised ads: ${event.consent.adPersonalization.toLowerCase()}`,
                ...(event.consent.limitedDataUse ? ['limited data use'] : []),
              ].join(' · '),
            ],
            ['Kept until', <Time at={event.expiresAt} exact />],
          ]}
        />
      </div>
      <div>
        <h3>Who: {counted(Object.keys(user).length, 'identifier')}</h3>
        {Object.keys(user).length === 0 && (
          <p class="quiet">
            {event.suppressed
              ? 'Taken away: the person was erased, and is to be left alone.'
              : 'None was sent, or none that could be used: most platforms cannot tell whose event this is.'}
          </p>
        )}
        <Facts rows={Object.entries(user).map(([name, found]) => [plainName(name), <Identifier value={found} />])} />
        {event.enrichment.length > 0 && (
          <>
            <h3>Added by TrackLayer</h3>
            <Facts
              rows={event.enrichment.map((one) => [
                plainName(one.field),
                <>
                  <Identifier value={one.value} />
                  <div class="quiet">
                    {origin(one.field, one.source)}, <Time at={one.seenAt} />
                  </div>
                </>,
              ])}
            />
          </>
        )}
        {event.enrichmentNote && <p class="quiet">{notes[event.enrichmentNote]}</p>}
      </div>
      <div>
        <h3>What</h3>
        {Object.keys(custom).length === 0 && <p class="quiet">No value and no products were sent.</p>}
        <Facts
          rows={[
            ['Value', value == null ? null : money(value as number | Digits, typeof currency === 'string' ? currency : null)],
            ...(value == null && currency != null ? ([['Currency', String(currency)]] as [string, ComponentChildren][]) : []),
            ...Object.entries(rest).map(([name, found]): [string, ComponentChildren] => [plainName(name), plainValue(found)]),
          ]}
        />
        {Array.isArray(contents) && contents.length > 0 && <Basket lines={contents.map(fieldsOf)} currency={typeof currency === 'string' ? currency : null} />}
        {properties && (
          <>
            <h3>Fields of your own</h3>
            <Facts rows={Object.entries(fieldsOf(properties)).map(([name, found]) => [name, plainValue(found)])} />
          </>
        )}
        {Object.keys(device).length > 0 && (
          <>
            <h3>Device</h3>
            <Facts rows={Object.entries(device).map(([name, found]) => [plainName(name), plainValue(found)])} />
          </>
        )}
      </div>
      <details>
        <summary>As JSON, every number as it was sent</summary>
        <JsonView
          label="The event as it is kept"
          value={{
            event_id: event.eventId,
            event_name: event.eventName,
            occurred_at: event.occurredAt,
            action_source: event.actionSource.toLowerCase(),
            event_source_url: event.eventSourceUrl,
            user_data: event.userData,
            custom_data: event.customData,
            device: event.device,
            consent: event.consent,
          }}
        />
      </details>
    </div>
  )
}

function Identifier({ value }: { value: Json }) {
  if (Array.isArray(value)) return <>{value.map((one, index) => <div key={index}><Identifier value={one} /></div>)}</>
  if (value === HIDDEN) return <span class="quiet">•••• kept sealed: no page shows it</span>
  const text = String(value)
  const isDigest = /^[0-9a-f]{64}$/.test(text)
  return (
    <>
      <span class="verbatim">{text}</span> {isDigest && <Badge title="The value itself is not kept.">SHA-256</Badge>}
    </>
  )
}

function Basket({ lines, currency }: { lines: Fields[]; currency: string | null }) {
  const names = ['title', 'brand', 'category', 'variant', 'coupon'].filter((name) => lines.some((line) => line[name] != null))
  return (
    <div class="table" role="group" aria-label="Basket" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Product id</th>
            <th scope="col" class="number">
              Quantity
            </th>
            <th scope="col" class="number">
              Price each
            </th>
            {names.map((name) => (
              <th key={name} scope="col">
                {plainName(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {lines.map((line, index) => (
            <tr key={index}>
              <th scope="row">{String(line.id)}</th>
              <td class="number">{plainValue(line.quantity ?? 1)}</td>
              <td class="number">{money(line.item_price as number | Digits | null, currency)}</td>
              {names.map((name) => (
                <td key={name}>{line[name] == null ? '' : String(line[name])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function plainValue(value: Json): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return Array.isArray(value) ? value.map(plainValue).join(', ') : String(value)
}

const NAMES: Record<string, string> = {
  client_ip: 'IP address',
  fbc: 'Meta click cookie (fbc)',
  fbp: 'Meta browser cookie (fbp)',
  fbclid: 'Meta click id (fbclid)',
  gclid: 'Google click id (gclid)',
  ttclid: 'TikTok click id (ttclid)',
  client_user_agent: 'Browser (user agent)',
  ga_client_id: 'GA client id',
  ga_session_id: 'GA session id',
  os: 'System',
  os_version: 'System version',
  external_id: 'External id',
  order_id: 'Order id',
  app_id: 'App id',
  zip: 'Postal code',
}

/** First name, of first_name; a vendor's word stays as it is. */
export function plainName(name: string): string {
  return NAMES[name] ?? (name.includes('_') && !/^(sc|rdt|li)_/.test(name) ? words(name) : /^(email|phone|emails|phones|gender|street|city|state|country|status|title|brand|category|variant|coupon|model|locale|carrier)$/.test(name) ? words(name) : name)
}
