// One platform's part in an event: where it stands, what that means, what to do, and what would be sent today.

import { fieldsOf } from './Stored'
import { counted, words } from '../../lib/format'
import { factsOf, titleOf } from '../../lib/platforms'
import { ago, exactTime, now } from '../../lib/time'
import { Action } from '../../parts/Action'
import { JsonView } from '../../parts/Code'
import { Notice } from '../../parts/Notice'
import { Facts } from '../../parts/Page'
import { DeliveryMark, isLeftAlone, Mark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import type { SentTodayQuery } from './event.gql'
import { isWaiting, length, type Delivery, type Event } from './story'

export type Preview = NonNullable<SentTodayQuery['event']>['deliveries'][number]['preview']

export function DeliveryCard({
  event,
  delivery,
  preview,
  isAsked,
  redeliver,
}: {
  event: Event
  delivery: Delivery
  /** undefined: not known yet. */
  preview: Preview | undefined
  isAsked: boolean
  redeliver: () => void
}) {
  const title = titleOf(delivery.platform)
  const facts = factsOf(delivery.platform)
  const found = delivery.explanation
  const said = delivery.status === 'DELIVERED' ? delivery.attemptLog.findLast((one) => one.note)?.note : delivery.lastError
  const taken = facts?.maxEventAgeHours == null ? null : Date.parse(event.occurredAt) + facts.maxEventAgeHours * 3_600_000
  return (
    <article class="delivery" aria-label={title}>
      <div class="delivery-head">
        <h3>
          <a href={`/destinations/${delivery.platform.toLowerCase()}`}>{title}</a>
        </h3>
        <DeliveryMark status={delivery.status} held={delivery.held} reason={delivery.dropReason} />
        {delivery.latencyMs !== null && (
          <span class="quiet" title={`${delivery.latencyMs} ms`}>
            {length(delivery.latencyMs)} after it arrived
            {delivery.attempts > 1 && `, at attempt ${delivery.attempts}`}
          </span>
        )}
        {delivery.mayRedeliver && (
          <Action scope="ADMIN" run={redeliver}>
            Redeliver …
          </Action>
        )}
      </div>
      {found && (
        <div class={`notice ${isLeftAlone(delivery.dropReason) ? '' : delivery.status === 'DROPPED' ? 'bad' : 'warn'}`}>
          <p>
            <strong>{found.summary}</strong> {found.field && <>It is about <code>{found.field}</code>.</>}
          </p>
          {said && (
            <p>
              {delivery.attemptLog.length > 0 ? `In ${title}'s words` : 'Why'}: <q class="verbatim">{said}</q>
            </p>
          )}
          <p>
            <strong>Next:</strong> {found.nextStep}
          </p>
          {found.docsUrl && (
            <p>
              <a href={localPath(found.docsUrl)}>What {title} takes, and what its codes mean</a>{' '}
              <span class="quiet">
                (code <code>{found.code}</code>)
              </span>
            </p>
          )}
        </div>
      )}
      {!found && delivery.lastError && delivery.status !== 'DELIVERED' && (
        <Notice tone="warn">
          <p>
            <strong>{withoutAnswer(delivery, title)}</strong> <q class="verbatim">{delivery.lastError}</q>
          </p>
          <p>
            <strong>Next:</strong>{' '}
            {isWaiting(delivery)
              ? 'Nothing to do: it is sent again by itself, with the same id.'
              : 'See what its destination waited for, then redeliver it.'}
          </p>
        </Notice>
      )}
      {delivery.held && isWaiting(delivery) && (
        <Notice tone="warn">
          <p>
            It waits, and no attempt is used up: its destination is paused or held. <a href={`/destinations/${delivery.platform.toLowerCase()}`}>See why</a>.
          </p>
        </Notice>
      )}
      {delivery.duplicateRisk && (
        <Notice tone="warn">
          <p>
            <strong>{title} may count it twice.</strong> An attempt was not answered, so it may have been taken, and another one followed
            or follows. How {title} tells copies: {facts?.deduplication}
          </p>
        </Notice>
      )}
      {delivery.status !== 'DELIVERED' && (
        <Facts
          rows={[
            ['Attempts', delivery.attempts > 0 || delivery.attemptLog.length > 0 ? `${delivery.attempts} of 5 in this series` : null],
            [
              'Given up',
              delivery.dropReason && (
                <>
                  {words(delivery.dropReason)}
                  {delivery.droppedAt && <span class="quiet">, {exactTime(delivery.droppedAt)}</span>}
                </>
              ),
            ],
            [
              'Next attempt',
              isWaiting(delivery) && delivery.nextRetryAt ? (
                <>
                  {ago(delivery.nextRetryAt, now.value)} <span class="quiet">({exactTime(delivery.nextRetryAt)})</span>
                </>
              ) : null,
            ],
            [
              'Can be taken until',
              taken !== null ? (
                <>
                  {exactTime(taken)} <span class="quiet">({taken > now.value ? ago(taken, now.value) : 'that has passed: a redelivery is refused'})</span>
                </>
              ) : null,
            ],
            ['If sent twice', !delivery.duplicateRisk && delivery.attemptLog.length > 0 && facts ? facts.deduplication : null],
          ]}
        />
      )}
      <Today preview={preview} isAsked={isAsked} title={title} delivered={delivery.status === 'DELIVERED' ? (facts?.deduplication ?? '') : null} />
    </article>
  )
}

function Today({ preview, isAsked, title, delivered }: { preview: Preview | undefined; isAsked: boolean; title: string; delivered: string | null }) {
  if (preview === undefined) return isAsked ? null : <p class="quiet">Looking what would be sent today …</p>
  if (preview === null)
    return <p class="quiet">Nothing can be sent today: there is no destination for {title} any more.</p>
  const broken = preview.verdicts.filter((one) => !one.ok)
  const request = fieldsOf(preview.request)
  return (
    <details class="today">
      <summary>
        {preview.wouldSend ? (
          <Mark
            tone={broken.length ? 'warn' : 'good'}
            word={broken.length ? `Today it would be sent, without ${counted(broken.length, 'part')}` : 'Today it would be sent as a whole'}
          />
        ) : (
          <Mark tone="bad" word={`Today it would not be sent: ${broken.at(-1)?.message ?? 'it is refused'}`} />
        )}
      </summary>
      <p class="quiet">
        With today's settings and as old as the event is now; nothing is sent by looking.
        {delivered !== null && ` ${title} has taken it already. ${delivered}`}
      </p>
      <ul class="verdicts" aria-label="Rules">
        {[...preview.verdicts]
          .sort((one, other) => Number(one.ok) - Number(other.ok))
          .map((one, index) => (
            <li key={index}>
              <Mark tone={one.ok ? 'good' : preview.wouldSend ? 'warn' : 'bad'} word={one.ok ? 'kept' : preview.wouldSend ? 'left out' : 'broken'} />
              <span>
                <strong>{words(one.rule)}</strong>: {one.message} {one.field && <code>{one.field}</code>}
              </span>
            </li>
          ))}
      </ul>
      {preview.request !== null && (
        <>
          <p>
            <code class="verbatim">
              {String(request.method)} {String(request.url)}
            </code>
          </p>
          <JsonView value={request.body} label={`What ${title} would get`} />
        </>
      )}
    </details>
  )
}

/** What an attempt without the platform's answer means. */
function withoutAnswer(delivery: Delivery, title: string): string {
  const last = delivery.attemptLog.at(-1)?.outcome
  if (last === 'UNKNOWN') return `It was sent, and no answer came: whether ${title} took it is not known.`
  if (last === 'UNREACHABLE') return `${title} was not reached.`
  return 'It was not taken.'
}

/** Our own pages by their path, wherever this server is said to be. */
function localPath(url: string): string {
  try {
    const found = new URL(url, location.origin)
    return found.pathname + found.hash
  } catch {
    return '/docs'
  }
}
