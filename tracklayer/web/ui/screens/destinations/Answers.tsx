// What a platform answered last.

import { useAsk } from '../../lib/ask'
import { latency, words } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { OutcomeMark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { Answers as Question } from './destinations.gql'
import type { Destination, PlatformForm } from './form'

const EVERY = 10_000

export function Answers({ form, destination }: { form: PlatformForm; destination: Destination }) {
  const asked = useAsk(Question, { destination: destination.id }, { every: EVERY })
  const node = asked.data?.node
  const found = node && 'answers' in node ? node.answers : []
  return (
    <Section
      title="Last answers"
      actions={
        <a class="button" href={`/deliveries?platform=${form.platform}`}>
          All deliveries
        </a>
      }
    >
      <ErrorNotice error={asked.error} again={asked.again} />
      {!asked.data && !asked.error && <Loading />}
      {asked.data && found.length === 0 && (
        <p class="quiet">{form.title} has not been asked yet: nothing was sent to it in the last 35 days.</p>
      )}
      {found.length > 0 && (
        <ol class="answers">
          {found.map(({ delivery, attempt }) => (
            <li key={delivery.id + attempt.at}>
              <OutcomeMark outcome={attempt.outcome} />
              <span>
                {attempt.httpStatus !== null && !attempt.error && `${attempt.httpStatus}, `}
                {latency(attempt.durationMs)}, <Time at={attempt.at} />
                {(attempt.error ?? attempt.note) && <span class="reason"> {attempt.error ?? attempt.note}</span>}
                {delivery.dropReason && <span class="quiet"> Given up: {words(delivery.dropReason).toLowerCase()}.</span>}
              </span>
              <a href={eventHref(delivery.event.eventId)}>
                {delivery.event.eventName} {delivery.event.eventId}
              </a>
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}
