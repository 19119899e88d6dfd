// How long events are kept, and whether email and phone are kept as digests only.

import { useEffect, useState } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { count } from '../../lib/format'
import { may } from '../../lib/session'
import { dayOf } from '../../lib/time'
import { Action } from '../../parts/Action'
import { Confirm } from '../../parts/Confirm'
import { ErrorNotice, Loading } from '../../parts/Notice'
import { Moved } from '../../parts/Moved'
import { Section } from '../../parts/Page'
import { Troubles } from '../../parts/Troubles'
import { useForm, useUpdate, type Merchant } from './merchant'
import { Retention, type RetentionQuery } from './settings.gql'

type Days = Merchant['retentionDays']

const DAYS: Record<Days, number> = { DAYS_30: 30, DAYS_90: 90, DAYS_180: 180, DAYS_365: 365 }
const choices = Object.keys(DAYS) as Days[]
const daysOf = (days: Days) => DAYS[days]

export function Kept({ merchant, saved }: { merchant: Merchant; saved: () => void }) {
  const { troubles: hashTroubles, update } = useUpdate(saved)
  const { form, troubles, save } = useForm(merchant, saved, ({ retentionDays }) => ({ retentionDays }))
  const days = form.draft.retentionDays
  const [question, setQuestion] = useState<'retention' | 'hash' | 'plain' | null>(null)
  const canChange = may('ADMIN')
  const isShorter = daysOf(days) < daysOf(form.theirs.retentionDays)
  const goes = useAsk(Retention, { days: days }, { when: isShorter })
  const preview = isShorter && !goes.isStale ? goes.data?.merchant.retentionPreview : undefined
  const isHashing = merchant.hashUserData
  const asksToShorten = question === 'retention' && isShorter
  // What is asked about is shorter no more: somebody else shortened it further, or theirs was taken. It is not asked again
  // by itself when it becomes shorter once more.
  useEffect(() => {
    if (!isShorter) setQuestion((one) => (one === 'retention' ? null : one))
  }, [isShorter])
  const moved = <Moved form={form} names={{ retentionDays: 'Kept for' }} words={(value) => `${daysOf(value as Days)} days`} />
  return (
    <Section title="What is kept">
      <Troubles troubles={[...troubles, ...hashTroubles]} />
      <fieldset class="setting" disabled={!canChange}>
        <legend class="setting-label">Events, their deliveries and what browsers showed are kept for</legend>
        <div class="row">
          {choices.map((one) => (
            <label class="option" key={one}>
              <input type="radio" name="retention" checked={days === one} onChange={() => form.set({ retentionDays: one })} />{' '}
              {daysOf(one)} days
            </label>
          ))}
        </div>
        {isShorter && <WhatGoes preview={preview} />}
        {isShorter && <ErrorNotice error={goes.error} again={goes.again} />}
        {form.isChanged && !isShorter && (
          <p class="setting-help">Nothing is deleted by this. What is gone already does not come back.</p>
        )}
      </fieldset>
      {!asksToShorten && moved}
      <div class="actions">
        <Action
          scope="ADMIN"
          kind={isShorter ? 'danger' : 'main'}
          disabled={!form.isChanged}
          run={async () => {
            if (isShorter) setQuestion('retention')
            else await save({ retentionDays: days })
          }}
        >
          {isShorter ? `Keep ${daysOf(days)} days only …` : 'Save'}
        </Action>
        {form.isChanged && (
          <button type="button" onClick={form.discard}>
            Discard
          </button>
        )}
      </div>

      <div class="setting hashing">
        <h3>Email and phone</h3>
        <p>
          {isHashing
            ? 'They are hashed as they come in (SHA-256): what is stored, shown and searched is the digest. Platforms match people by it.'
            : 'They are stored and shown in plain text, and hashed only when they are sent.'}
        </p>
        <Action scope="ADMIN" run={() => setQuestion(isHashing ? 'plain' : 'hash')}>
          {isHashing ? 'Store them in plain text …' : 'Hash them …'}
        </Action>
      </div>

      {asksToShorten && (
        <Confirm
          title={`Keep ${daysOf(days)} days only?`}
          verb="Delete what is older"
          kind="danger"
          {...(preview?.events === 0 ? {} : { word: String(daysOf(days)) })}
          close={() => setQuestion(null)}
          run={() => save({ retentionDays: days })}
        >
          {moved}
          <WhatGoes preview={preview} />
          <p>
            Deleting begins within minutes, goes on every day, and cannot be undone. After that an event id that is gone counts as new, should it
            arrive again. The figures on Home stay.
          </p>
        </Confirm>
      )}
      {/* It asks what it asked when it was opened, whatever somebody else stores meanwhile. */}
      {(question === 'hash' || question === 'plain') && (
        <Confirm
          title={question === 'plain' ? 'Store email and phone in plain text?' : 'Hash email and phone?'}
          verb={question === 'plain' ? 'Store plain text from now on' : 'Hash from now on'}
          kind={question === 'plain' ? 'danger' : 'main'}
          close={() => setQuestion(null)}
          run={async () => {
            await update({ hashUserData: question === 'hash' })
          }}
        >
          <p>
            This is about events that arrive from now on. What is stored stays as it is until its retention ends: digests
            cannot be turned back, and plain text is not hashed afterwards.
          </p>
          {question === 'plain' ? (
            <p>
              Whoever can read the database or holds a key with the scope READ then sees addresses and numbers. Platforms
              get the same digests either way.
            </p>
          ) : (
            <p>Platforms get the same digests either way.</p>
          )}
        </Confirm>
      )}
    </Section>
  )
}

function WhatGoes({ preview }: { preview: RetentionQuery['merchant']['retentionPreview'] | undefined }) {
  if (!preview) return <Loading what="Counting" />
  const { events, before, oldest } = preview
  return (
    <p class={events ? 'notice warn' : 'notice'} role="status">
      {events === 0 ? (
        `Nothing of what is there now would be deleted${oldest ? `: the oldest event is of ${dayOf(oldest)}` : ''}.`
      ) : (
        <>
          About <b>{count(events)}</b> {events === 1 ? 'event' : 'events'} with their deliveries would be deleted: all that
          arrived before {dayOf(before)}
          {oldest && `; the oldest is of ${dayOf(oldest)}`}.
        </>
      )}
    </p>
  )
}
