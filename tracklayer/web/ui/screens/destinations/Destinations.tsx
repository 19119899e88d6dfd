import { useEffect, useRef, useState } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { counted } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { go } from '../../lib/router'
import { LiveSwitch } from '../../parts/List'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Page, Section } from '../../parts/Page'
import { Badge, DestinationMark, Mark } from '../../parts/Status'
import { Destinations as Question } from './destinations.gql'
import './destinations.css'
import { missingOf, nextStep, pathOf, settingsOf, type Destination, type PlatformForm } from './form'
import { useForms } from './forms'
import { Forecast, LastDelivered, Waiting } from './Pace'
import { Takes } from './Takes'

const EVERY = 5000

export function Destinations() {
  const { forms, error, again } = useForms()
  const asked = useAsk(Question, {}, { every: EVERY })
  const list = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState(-1)

  const links = () => [...(list.current?.querySelectorAll<HTMLElement>('a[data-row]') ?? [])]
  useEffect(() => {
    const link = links()[at]
    link?.focus()
    link?.scrollIntoView({ block: 'nearest' })
  }, [at])
  const move = (by: number) => setAt((before) => Math.min(links().length - 1, Math.max(0, before + by)))
  useKeys([
    { keys: 'j', does: 'Next platform', run: () => move(1) },
    { keys: 'k', does: 'Platform before', run: () => move(-1) },
    {
      keys: 'o',
      does: 'Open the platform',
      run: () => {
        const link = links()[at]
        if (link) go(link.getAttribute('href')!)
      },
    },
  ])

  const there = asked.data?.merchant.destinations
  const setUp = (forms ?? [])
    .map((form) => ({ form, destination: there?.find((one) => one.platform === form.platform) }))
    .filter((one): one is { form: PlatformForm; destination: Destination } => one.destination !== undefined)
    .sort((a, b) => rank(b.destination) - rank(a.destination) || a.form.title.localeCompare(b.form.title))
  const others = there ? (forms ?? []).filter((form) => !there.some((one) => one.platform === form.platform)) : []

  return (
    <Page title="Destinations" actions={<LiveSwitch />}>
      <ErrorNotice error={error ?? asked.error} again={error ? again : asked.again} />
      {(!there || !forms) && !asked.error && !error && <Loading />}
      <div ref={list}>
        {there && forms && setUp.length === 0 && (
          <Empty title="Nothing is delivered yet.">
            <p>Choose a platform below and give it its settings: from then on it gets what you send.</p>
          </Empty>
        )}
        {setUp.length > 0 && (
          <ul class="cards">
            {setUp.map(({ form, destination }) => (
              <li key={form.platform}>
                <Card form={form} destination={destination} />
              </li>
            ))}
          </ul>
        )}
        {others.length > 0 && (
          <Section title="Not set up">
            <ul class="others">
              {others.map((form) => (
                <li key={form.platform}>
                  <a class="button" data-row href={pathOf(form.platform)}>
                    Set up {form.title}
                  </a>
                </li>
              ))}
            </ul>
          </Section>
        )}
      </div>
    </Page>
  )
}

/** Worst first: held, paused, advised, with much to send. */
function rank(one: Destination): number {
  const state = { HELD: 4, PAUSED: 2, ACTIVE: 0 }[one.state]
  return state + (one.advice.length ? 1 : 0) + one.waiting / (one.waiting + 1000)
}

function Card({ form, destination }: { form: PlatformForm; destination: Destination }) {
  const missing = missingOf(form.settings, settingsOf(destination.settings))
  const [first, ...more] = destination.advice
  return (
    <article class="card" aria-label={form.title}>
      <div class="card-head">
        <h2>
          <a data-row href={pathOf(form.platform)}>
            {form.title}
          </a>
        </h2>
        <DestinationMark state={destination.state} />
      </div>
      {destination.state !== 'ACTIVE' && (
        <div class="card-state">
          {destination.state === 'HELD' && <p class="reason">{destination.stateReason}</p>}
          <p>{nextStep(destination.state, destination.stateReason, form.title)}</p>
        </div>
      )}
      {missing.length > 0 && (
        <p>
          <Mark tone="bad" word={`Missing: ${missing.map((one) => one.label).join(', ')}`} />
        </p>
      )}
      <p>
        <Takes names={destination.eventNames} />
      </p>
      <p>
        <Waiting destination={destination} form={form} />
      </p>
      <p class="quiet">
        Last delivered: <LastDelivered at={destination.standing.lastDeliveredAt} />.{' '}
        {destination.state === 'ACTIVE' && <Forecast destination={destination} />}
      </p>
      {first && (
        <p class="card-advice">
          <Badge tone="warn">Advice</Badge> {first.sentence}
          {more.length > 0 && <span class="quiet"> And {more.length} more.</span>}
        </p>
      )}
    </article>
  )
}
