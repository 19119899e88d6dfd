// How long events are kept, and whether email and phone are kept as digests only.

import { useState } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { count } from '../../lib/format'
import { may } from '../../lib/session'
import { dayOf } from '../../lib/time'
import { Action } from '../../parts/Action'
import { Confirm } from '../../parts/Confirm'
import { ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { Troubles } from '../../parts/Troubles'
import { useDraft, useUpdate, type Merchant } from './merchant'
import { Retention, type RetentionQuery } from './settings.gql'

type Days = Merchant['retentionDays']

const DAYS: Record<Days, number> = { DAYS_30: 30, DAYS_90: 90, DAYS_180: 180, DAYS_365: 365 }
const choices = Object.keys(DAYS) as Days[]
const daysOf = (days: Days) => DAYS[days]

export function Kept({ merchant, saved }: { merchant: Merchant; saved: () => void }) {
  const { troubles, update } = useUpdate(saved)
  const kept = useDraft<Days>(merchant.retentionDays)
  const [question, setQuestion] = useState<'retention' | 'hashing' | null>(null)
  const canChange = may('ADMIN')
  const isShorter = daysOf(kept.draft) < daysOf(merchant.retentionDays)
  const goes = useAsk(Retention, { days: kept.draft }, { when: isShorter })
  const preview = isShorter && !goes.isStale ? goes.data?.merchant.retentionPreview : undefined
  const isHashing = merchant.hashUserData
  return (
    <Section title="What is kept">
      <Troubles troubles={troubles} />
      <fieldset class="setting" disabled={!canChange}>
        <legend class="setting-label">Events, their deliveries and what browsers showed are kept for</legend>
        <div class="row">
          {choices.map((days) => (
            <label class="option" key={days}>
              <input type="radio" name="retention" checked={kept.draft === days} onChange={() => kept.setDraft(days)} />{' '}
              {daysOf(days)} days
            </label>
          ))}
        </div>
        {isShorter && <WhatGoes preview={preview} />}
        {isShorter && <ErrorNotice error={goes.error} again={goes.again} />}
        {kept.isChanged && !isShorter && (
          <p class="setting-help">Nothing is deleted by this. What is gone already does not come back.</p>
        )}
      </fieldset>
      <div class="actions">
        <Action
          scope="ADMIN"
          kind={isShorter ? 'danger' : 'main'}
          disabled={!kept.isChanged}
          run={async () => {
            if (isShorter) setQuestion('retention')
            else if (await update({ retentionDays: kept.draft })) kept.settle()
          }}
        >
          {isShorter ? `Keep ${daysOf(kept.draft)} days only …` : 'Save'}
        </Action>
        {kept.isChanged && (
          <button type="button" onClick={() => kept.setDraft(merchant.retentionDays)}>
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
        <Action scope="ADMIN" run={() => setQuestion('hashing')}>
          {isHashing ? 'Store them in plain text …' : 'Hash them …'}
        </Action>
      </div>

      {question === 'retention' && (
        <Confirm
          title={`Keep ${daysOf(kept.draft)} days only?`}
          verb="Delete what is older"
          kind="danger"
          {...(preview?.events === 0 ? {} : { word: String(daysOf(kept.draft)) })}
          close={() => setQuestion(null)}
          run={async () => {
            const isSaved = await update({ retentionDays: kept.draft })
            setQuestion(null)
            if (isSaved) kept.settle()
          }}
        >
          <WhatGoes preview={preview} />
          <p>
            Deleting begins within minutes, goes on every day, and cannot be undone. After that an event id that is gone counts as new, should it
            arrive again. The figures on Home stay.
          </p>
        </Confirm>
      )}
      {question === 'hashing' && (
        <Confirm
          title={isHashing ? 'Store email and phone in plain text?' : 'Hash email and phone?'}
          verb={isHashing ? 'Store plain text from now on' : 'Hash from now on'}
          kind={isHashing ? 'danger' : 'main'}
          close={() => setQuestion(null)}
          run={async () => {
            await update({ hashUserData: !isHashing })
            setQuestion(null)
          }}
        >
          <p>
            This is about events that arrive from now on. What is stored stays as it is until its retention ends: digests
            cannot be turned back, and plain text is not hashed afterwards.
          </p>
          {isHashing ? (
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
