// What a platform would be sent of an event that is stored: nothing is sent. Which event stands in the address.

import { useState } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { eventHref } from '../../lib/links'
import { param, setParams } from '../../lib/router'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { Mark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { Verdicts } from '../../parts/Verdicts'
import { DryRun as Question, NewestEvents } from './destinations.gql'
import type { Destination, PlatformForm } from './form'
import { Sent } from './Sent'

export function DryRun({ form, destination }: { form: PlatformForm; destination: Destination | null }) {
  const chosen = param('event')
  const [typed, setTyped] = useState(chosen ?? '')
  const newest = useAsk(NewestEvents, {})
  const events = newest.data?.events.nodes ?? []
  const choose = (eventId: string) => {
    setTyped(eventId)
    setParams({ event: eventId.trim() || null }, { replace: true })
  }
  return (
    <Section title="Dry run on a real event">
      <p>
        Shows what {form.title} would be sent of one of your events{destination ? '' : ', with invented settings'}. Nothing is
        sent.
      </p>
      <ErrorNotice error={newest.error} again={newest.again} />
      {newest.data && events.length === 0 && <p class="quiet">There is no event yet. Send one first.</p>}
      {events.length > 0 && (
        <form
          class="row dry-run"
          onSubmit={(event) => {
            event.preventDefault()
            choose(typed)
          }}
        >
          <label class="filter">
            <span>One of the newest</span>
            <select
              value={events.some((one) => one.eventId === chosen) ? chosen! : ''}
              onChange={(event) => choose(event.currentTarget.value)}
            >
              <option value="">choose one</option>
              {events.map((one) => (
                <option key={one.id} value={one.eventId}>
                  {one.eventName} {one.eventId}
                </option>
              ))}
            </select>
          </label>
          <label class="filter">
            <span>or its event id</span>
            <input
              autocomplete="off"
              spellcheck={false}
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
          <button type="submit" disabled={!typed.trim()}>
            Show what would be sent
          </button>
        </form>
      )}
      {chosen && <Result eventId={chosen} form={form} destination={destination} />}
    </Section>
  )
}

function Result({
  eventId,
  form,
  destination,
}: {
  eventId: string
  form: PlatformForm
  destination: Destination | null
}) {
  const asked = useAsk(Question, { eventId, platform: form.platform })
  if (asked.error) return <ErrorNotice error={asked.error} again={asked.again} />
  if (!asked.data || asked.isStale) return <Loading />
  const { event } = asked.data
  if (!event) {
    return (
      <Notice tone="warn">
        <p>There is no event of the id {eventId}.</p>
      </Notice>
    )
  }
  const { preview } = event
  const isFiltered = destination?.eventNames != null && !destination.eventNames.includes(event.eventName)
  return (
    <div class="trial" role="status">
      <p>
        {isFiltered ? (
          <Mark tone="off" word={`Not sent: this destination takes no ${event.eventName}`} />
        ) : preview.wouldSend ? (
          <Mark tone="good" word="Would be sent" />
        ) : (
          <Mark tone="bad" word="Would be refused" />
        )}
        : {event.eventName} <a href={eventHref(event.eventId)}>{event.eventId}</a>, received{' '}
        <Time at={event.receivedAt} />
      </p>
      <Verdicts verdicts={preview.verdicts} />
      {preview.request !== null && <Sent request={preview.request} label={`What ${form.title} would be sent`} />}
    </div>
  )
}
