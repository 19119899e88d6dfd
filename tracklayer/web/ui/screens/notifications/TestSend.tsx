import { useState } from 'preact/hooks'

import { ask } from '../../lib/api'
import { latency } from '../../lib/format'
import { factsOf, titleOf, type Platform } from '../../lib/platforms'
import { Action } from '../../parts/Action'
import { Facts, Section } from '../../parts/Page'
import { OutcomeMark } from '../../parts/Status'
import { TryDestination, type TryDestinationMutation } from './alert.gql'
import { Ticked } from '../../parts/Ticked'
import { guidePath } from './words'

type Tried = TryDestinationMutation['testDestination']

/** One invented purchase in the platform's own test mode: does it take anything from us, now? */
export function TestSend({ platform }: { platform: Platform }) {
  const [tried, setTried] = useState<Tried | null>(null)
  const name = titleOf(platform)
  const facts = factsOf(platform)
  const settings = <a href={`/destinations/${platform.toLowerCase()}`}>Settings of {name}</a>
  if (facts && !facts.supportsTestEvents) {
    return (
      <Section title="Try it">
        <p>
          {name} has no test mode, so nothing can be sent to it on trial: a real conversion would be counted. {settings}
        </p>
      </Section>
    )
  }
  return (
    <Section title="Try it">
      <p>
        Sends one invented purchase to {name} in its own test mode. Nothing of it is stored here. {facts?.testEffect} {settings}
      </p>
      <Action
        scope="ADMIN"
        run={async () => {
          setTried(null)
          setTried((await ask(TryDestination, { platform })).testDestination)
        }}
      >
        Send a test
      </Action>
      <div role="status" aria-live="polite">
        {tried && <Result tried={tried} name={name} />}
      </div>
    </Section>
  )
}

function Result({ tried, name }: { tried: Tried; name: string }) {
  const { attempt, explanation } = tried
  const broken = tried.verdicts.filter((one) => !one.ok)
  const guide = guidePath(explanation?.docsUrl)
  return (
    <div class="tried">
      {tried.userErrors.map((one) => (
        <p key={one.message}>
          <Ticked text={one.message} />
        </p>
      ))}
      {attempt && (
        <Facts
          rows={[
            ['What came of it', <OutcomeMark outcome={attempt.outcome} />],
            ['Answer', attempt.httpStatus === null ? 'none' : `HTTP ${attempt.httpStatus} in ${latency(attempt.durationMs)}`],
            [`What ${name} said`, attempt.error ?? attempt.note],
            ['What it means', explanation?.summary],
            ['Field', explanation?.field && <code>{explanation.field}</code>],
            ['What to do', explanation && <Ticked text={explanation.nextStep} />],
            ['', guide && <a href={guide}>The guide to {name}</a>],
          ]}
        />
      )}
      {broken.length > 0 && (
        <ul class="plain">
          {broken.map((one) => (
            <li key={one.rule + one.message}>
              {one.field && <code>{one.field}</code>} {one.message}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
