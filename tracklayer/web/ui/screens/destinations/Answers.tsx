// The last answers of a platform, of the deliveries that were queued last.

import { useAsk } from '../../lib/ask'
import { latency, words } from '../../lib/format'
import { ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { OutcomeMark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { Answers as Question, type AnswersQuery } from './destinations.gql'
import type { PlatformForm } from './form'

const SHOWN = 5
const EVERY = 10_000

type Delivery = AnswersQuery['deliveries']['nodes'][number]

export function Answers({ form }: { form: PlatformForm }) {
  const asked = useAsk(Question, { platform: form.platform }, { every: EVERY })
  const found = answersOf(asked.data?.deliveries.nodes ?? [])
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
        <p class="quiet">{form.title} has not been asked yet: nothing was sent to it, or it is too long ago.</p>
      )}
      {found.length > 0 && (
        <ol class="answers">
          {found.map(({ delivery, attempt }) => (
            <li key={delivery.id + attempt.at}>
              <OutcomeMark outcome={attempt.outcome} />
              <span>
                {attempt.httpStatus !== null && `${attempt.httpStatus}, `}
                {latency(attempt.durationMs)}, <Time at={attempt.at} />
                {attempt.error && <span class="reason"> {attempt.error}</span>}
                {delivery.dropReason && <span class="quiet"> Dropped: {words(delivery.dropReason)}.</span>}
              </span>
              <a href={`/events/${encodeURIComponent(delivery.event.eventId)}`}>
                {delivery.event.eventName} {delivery.event.eventId}
              </a>
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}

function answersOf(deliveries: readonly Delivery[]) {
  return deliveries
    .flatMap((delivery) => delivery.attemptLog.map((attempt) => ({ delivery, attempt })))
    .sort((a, b) => b.attempt.at.localeCompare(a.attempt.at))
    .slice(0, SHOWN)
}
