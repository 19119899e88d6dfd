import { useAsk } from '../../lib/ask'
import { eventHref } from '../../lib/links'
import { session } from '../../lib/session'
import { Empty, ErrorNotice } from '../../parts/Notice'
import { Time } from '../../parts/Time'
import { retention } from '../events/links'
import { EventsAlike } from './event.gql'

/** No such event: what may be, and how to find out. */
export function NotFound({ eventId, retentionDays }: { eventId: string; retentionDays: string }) {
  const prefix = eventId.slice(0, Math.max(3, Math.ceil(eventId.length * 0.6)))
  const alike = useAsk(EventsAlike, { prefix })
  const rows = alike.data?.events.nodes ?? []
  return (
    <>
      <Empty title="There is no event with this id.">
        <p>This page looks again by itself, every few seconds. What may be:</p>
      </Empty>
      <ErrorNotice error={alike.error} again={alike.again} />
      <ul class="reasons">
        {rows.length > 0 && (
          <li>
            <strong>Another id?</strong> These begin alike:{' '}
            {rows.map((row, index) => (
              <span key={row.id}>
                {index > 0 && ', '}
                <a href={eventHref(row.eventId)}>{row.eventId}</a>{' '}
                <span class="quiet">
                  ({row.eventName}, <Time at={row.receivedAt} />)
                </span>
              </span>
            ))}
          </li>
        )}
        <li>
          <strong>Spelt otherwise?</strong> Ids are compared as they were sent, capital letters and prefixes too. Look for{' '}
          <a href={`/events?id=${encodeURIComponent(eventId.slice(0, 4))}`}>all that begin with “{eventId.slice(0, 4)}”</a>.
        </li>
        <li>
          <strong>Refused at the door?</strong> Then nothing of it is stored. Whoever sent it was answered <code>REJECTED</code>, with the
          field and the reason in <code>userErrors</code>: that answer is in your server's log. <a href="/">The start page</a> counts
          refused events, and <a href="/notifications">an alert</a> opens where they are many.
        </li>
        <li>
          <strong>Too long ago?</strong> Events are kept for {retention(retentionDays)} after they came, then they are deleted.
        </li>
        <li>
          <strong>Erased?</strong> Somebody asked to be forgotten. Then a repeat is answered <code>COALESCED</code> with{' '}
          <code>EVENT_ERASED</code>.
        </li>
        <li>
          <strong>Another shop?</strong> You see the events of {session.value?.merchant.name ?? 'your merchant'} alone.
        </li>
        <li>
          <strong>Never sent?</strong> Send it again with the same id: were it here, it would be answered <code>COALESCED</code> and not
          delivered twice.
        </li>
      </ul>
    </>
  )
}
