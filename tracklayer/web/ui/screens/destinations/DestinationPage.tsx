import { useRef, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { useAsk } from '../../lib/ask'
import { counted } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { titleOf, type Platform } from '../../lib/platforms'
import { go } from '../../lib/router'
import { giveUp } from '../../lib/unsaved'
import { Action } from '../../parts/Action'
import { Confirm } from '../../parts/Confirm'
import { LiveSwitch } from '../../parts/List'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Facts, Page, Section } from '../../parts/Page'
import { Badge, DestinationMark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { Troubles, type Trouble } from '../../parts/Troubles'
import { Answers } from './Answers'
import {
  Destinations as Question,
  PauseDestination,
  type PauseDestinationMutation,
  RemoveDestination,
  ResumeDestination,
} from './destinations.gql'
import './destinations.css'
import { DryRun } from './DryRun'
import { draftOf, missingOf, nextStep, settingsOf, type Destination, type PlatformForm } from './form'
import { useForms } from './forms'
import { Forecast, LastDelivered, releaseWords, Waiting, windowWords } from './Pace'
import { SettingsForm } from './SettingsForm'
import { Takes } from './Takes'
import { Trial } from './Trial'

const EVERY = 5000

type Answered = PauseDestinationMutation['pauseDestination']

export function DestinationPage({ platform }: { platform: Platform }) {
  const { forms, error, again: askForms } = useForms()
  const asked = useAsk(Question, {}, { every: EVERY })
  const form = forms?.find((one) => one.platform === platform)
  const listed = asked.data?.merchant.destinations.find((one) => one.platform === platform) ?? null
  const last = useRef(asked.data)
  last.current = asked.data
  // As a change answered that it stands now, until it is listed anew.
  const [told, setTold] = useState<{ destination: Destination; since: typeof asked.data } | null>(null)
  const destination = told && told.since === asked.data ? told.destination : listed
  const again = (changed?: Destination | null) => {
    if (changed) setTold({ destination: changed, since: last.current })
    asked.again()
  }
  const title = form?.title ?? titleOf(platform)
  return (
    <Page
      title={title}
      actions={
        <>
          {form && (
            <a class="button" href={new URL(form.docsUrl, location.href).pathname}>
              Guide for {title}
            </a>
          )}
          <LiveSwitch />
        </>
      }
    >
      <p>
        <a href="/destinations">All destinations</a>
      </p>
      <ErrorNotice error={error ?? asked.error} again={error ? askForms : asked.again} />
      {(!asked.data || !form) && !asked.error && !error && <Loading />}
      {asked.data && form && (
        <Parts form={form} destination={destination} again={again} />
      )}
    </Page>
  )
}

/** Asks anew. `changed`: as it stands after a change. */
type Again = (changed?: Destination | null) => void

function Parts({ form, destination, again }: { form: PlatformForm; destination: Destination | null; again: Again }) {
  const wasThere = useRef(false)
  if (destination) wasThere.current = true
  return (
    <>
      {destination ? (
        <Standing form={form} destination={destination} again={again} />
      ) : wasThere.current ? (
        <div role="alert">
          <Notice tone="warn">
            <p>
              {form.title} was removed meanwhile: nothing is sent to it any more. To set it up again, give it the settings below
              and save.
            </p>
          </Notice>
        </div>
      ) : (
        <Notice>
          <p>
            Nothing goes to {form.title} yet. Give it the settings below and save: from then on it gets what you send,
            and events that are stored already can be delivered to it as well.
          </p>
        </Notice>
      )}
      {/* It has a name, so that it is the same one whatever stands above it: in it is what somebody typed. */}
      <div class="halves" key="halves">
        <div>
          <SettingsForm form={form} destination={destination} saved={again} />
        </div>
        <div>
          {destination && <Trial form={form} destination={destination} />}
          <DryRun form={form} destination={destination} />
          {destination && <Answers form={form} destination={destination} />}
          {destination && <End form={form} destination={destination} again={again} />}
        </div>
      </div>
    </>
  )
}

function Standing({ form, destination, again }: { form: PlatformForm; destination: Destination; again: Again }) {
  const [question, setQuestion] = useState<'pause' | 'resume' | null>(null)
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const missing = missingOf(form.settings, settingsOf(destination.settings))
  const { state, stateReason, release } = destination
  const title = form.title

  const done = ({ destination: changed, userErrors: found }: Answered, words: string) => {
    setTroubles(found)
    // What is refused may be gone, and with it the place where troubles are shown: it is said in any case.
    const [wrong] = found
    say(wrong?.code === 'NOT_FOUND' ? `${title} was removed meanwhile.` : (wrong?.message ?? words), { isBad: wrong !== undefined })
    again(changed)
  }
  return (
    <Section
      title="How it stands"
      actions={
        <>
          {state !== 'ACTIVE' && (
            <Action scope="ADMIN" kind="main" run={() => setQuestion('resume')}>
              Resume …
            </Action>
          )}
          {state !== 'PAUSED' && (
            <Action scope="ADMIN" run={() => setQuestion('pause')}>
              Pause …
            </Action>
          )}
        </>
      }
    >
      <Troubles troubles={troubles} />
      {state !== 'ACTIVE' && (
        <Notice tone={state === 'HELD' ? 'bad' : 'warn'}>
          {state === 'HELD' && <p class="reason">{stateReason}</p>}
          <p>{nextStep(state, stateReason, title)}</p>
        </Notice>
      )}
      {missing.length > 0 && (
        <Notice tone="bad">
          <p>
            Missing: {missing.map((one) => one.label).join(', ')}. Nothing can be sent without{' '}
            {missing.length === 1 ? 'it' : 'them'}.
          </p>
        </Notice>
      )}
      {destination.advice.map((one) => (
        <Notice key={one.code + (one.eventName ?? '') + one.sentence} tone="warn">
          <p>
            <Badge tone="warn">Advice</Badge> {one.sentence}
          </p>
          <p>
            {one.nextStep}
            {one.exampleEventId && (
              <>
                {' '}
                <a href={eventHref(one.exampleEventId)}>An event of that kind</a>
              </>
            )}
          </p>
        </Notice>
      ))}
      <Facts
        rows={[
          ['State', <DestinationMark state={state} />],
          ['Events', <Takes names={destination.eventNames} all />],
          ['Last delivered', <LastDelivered at={destination.standing.lastDeliveredAt} />],
          ['Pace', <Forecast destination={destination} />],
          ['Waiting', <Waiting destination={destination} form={form} />],
          ['Oldest event it takes', form.maxEventAgeHours === null ? 'the platform names no limit' : ageWords(form.maxEventAgeHours)],
          ['Copies', form.deduplication],
          ['Set up', <Time at={destination.createdAt} />],
        ]}
      />
      {question === 'pause' && (
        <Confirm
          title={`Pause ${title}?`}
          verb="Pause"
          close={() => setQuestion(null)}
          run={async () => {
            const { pauseDestination } = await ask(PauseDestination, { platform: form.platform })
            done(pauseDestination, `${title} is paused.`)
          }}
        >
          <p>Nothing is sent to {title} until somebody resumes it.</p>
          <p>
            Events go on being stored, and their deliveries wait. Each may wait for {windowWords(destination.windowSeconds)}{' '}
            from when it was queued: what waits longer is dropped, and can be delivered again later.
          </p>
          {destination.waiting > 0 && <p>{counted(destination.waiting, 'delivery', 'deliveries')} wait now.</p>}
        </Confirm>
      )}
      {question === 'resume' && (
        <Confirm
          title={`Resume ${title}?`}
          verb="Resume"
          close={() => setQuestion(null)}
          run={async () => {
            const { resumeDestination } = await ask(ResumeDestination, { platform: form.platform })
            done(resumeDestination, `${title} is sent to again.`)
          }}
        >
          {release && <p>{releaseWords(release, title)}</p>}
          {state === 'HELD' && (
            <p>
              It is held because of: <span class="reason">{stateReason}</span>. If that is not mended it is held again
              after the first requests, and nothing is lost by it.
            </p>
          )}
          <p>What was dropped meanwhile does not come back by this: redeliver it under Deliveries.</p>
        </Confirm>
      )}
    </Section>
  )
}

function ageWords(hours: number): string {
  return hours % 24 === 0 ? counted(hours / 24, 'day') : counted(hours, 'hour')
}

function End({ form, destination, again }: { form: PlatformForm; destination: Destination; again: () => void }) {
  const [isAsked, setAsked] = useState(false)
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const title = form.title
  return (
    <>
      <Section title="Events that are stored already">
        <p>
          A destination gets what arrives from when it is set up. Events that came before can be delivered to it as well,
          as long as they are kept and {title} takes events of their age.
        </p>
        <a class="button" href={`/deliveries?stored=${form.platform}`}>
          Deliver stored events
        </a>
      </Section>
      <Section title="Remove">
        <Troubles troubles={troubles} />
        <p>Ends this destination and forgets its credentials. What was delivered stays as it is, here and at {title}.</p>
        <Action scope="ADMIN" kind="danger" run={() => setAsked(true)}>
          Remove {title} …
        </Action>
        {isAsked && (
          <Confirm
            title={`Remove ${title}?`}
            verb="Remove"
            kind="danger"
            word={title}
            close={() => setAsked(false)}
            run={async (isHere) => {
              const { removeDestination } = await ask(RemoveDestination, { platform: form.platform })
              setTroubles(removeDestination.userErrors)
              again()
              if (removeDestination.userErrors.length) return
              say(`${title} is removed.`)
              if (!isHere()) return // whoever left the question is somewhere else, or goes on here
              giveUp(draftOf(form.platform)) // settings of what is gone
              go('/destinations')
            }}
          >
            <ul>
              <li>
                {destination.waiting === 0
                  ? 'Nothing waits for it now, so nothing is dropped.'
                  : `${counted(destination.waiting, 'delivery', 'deliveries')} that wait${destination.waiting === 1 ? 's' : ''} for it ${destination.waiting === 1 ? 'is' : 'are'} dropped, with the reason Destination removed.`}
              </li>
              <li>Its credentials are deleted at once. To set it up again you need them anew.</li>
              <li>New events are no longer sent to {title}; they go on to your other destinations.</li>
              <li>Past deliveries, their attempts and the figures stay until their retention ends.</li>
            </ul>
            <p>To stop only for a while, pause it instead.</p>
          </Confirm>
        )}
      </Section>
    </>
  )
}
