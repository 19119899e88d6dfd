// Trying a destination in the platform's own test mode: one event goes out, and what came of it is told.

import { useState } from 'preact/hooks'

import { ask } from '../../lib/api'
import { latency } from '../../lib/format'
import { Action } from '../../parts/Action'
import { Notice } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { OutcomeMark } from '../../parts/Status'
import { Troubles } from '../../parts/Troubles'
import { Verdicts } from '../../parts/Verdicts'
import { TestDestination, type TestDestinationMutation } from './destinations.gql'
import { settingsOf, type Destination, type PlatformForm } from './form'
import { Sent } from './Sent'

type Tried = TestDestinationMutation['testDestination']

export function Trial({ form, destination }: { form: PlatformForm; destination: Destination }) {
  const [tried, setTried] = useState<Tried | null>(null)
  const shown = settingsOf(destination.settings)
  const needs = form.settings.filter((one) => form.testNeeds.includes(one.name) && !shown[one.name])
  return (
    <Section title="Try it">
      {form.supportsTestEvents ? (
        <>
          <p>
            Sends one invented purchase of 1 USD to {form.title} in its test mode, with the settings as they are saved, and
            shows the answer. Events in test mode at {form.title}: {form.testEffect}
          </p>
          {needs.length > 0 && (
            <Notice tone="warn">
              <p>
                {form.title} needs {needs.map((one) => one.label).join(', ')} for that: set{' '}
                {needs.length === 1 ? 'it' : 'them'} among the settings first.
              </p>
            </Notice>
          )}
          <Action
            scope="ADMIN"
            disabled={needs.length > 0}
            run={async () => {
              setTried(null)
              setTried((await ask(TestDestination, { platform: form.platform })).testDestination)
            }}
          >
            Send a test event
          </Action>
          {tried && <Result tried={tried} title={form.title} />}
        </>
      ) : (
        <p>
          {form.title} has no test mode. {form.insteadOfTest}
        </p>
      )}
    </Section>
  )
}

function Result({ tried, title }: { tried: Tried; title: string }) {
  const { attempt, explanation, request } = tried
  return (
    <div class="trial" role="status">
      <Troubles troubles={tried.userErrors} />
      {attempt && (
        <Notice tone={attempt.outcome === 'ACKNOWLEDGED' ? 'good' : 'bad'}>
          <p>
            <OutcomeMark outcome={attempt.outcome} />{' '}
            {attempt.httpStatus === null ? `No answer from ${title}` : `${title} answered ${attempt.httpStatus}`} after{' '}
            {latency(attempt.durationMs)}.
          </p>
          {(attempt.error ?? attempt.note) && <p class="reason">{attempt.error ?? attempt.note}</p>}
        </Notice>
      )}
      {explanation && (
        <Notice tone="warn">
          <p>
            {explanation.summary} {explanation.field && <code>{explanation.field}</code>}
          </p>
          <p>{explanation.nextStep}</p>
        </Notice>
      )}
      <Verdicts verdicts={tried.verdicts} />
      {request !== null && (
        <details>
          <summary>What was sent, without credentials</summary>
          <Sent request={request} label="Request body" />
        </details>
      )}
    </div>
  )
}
