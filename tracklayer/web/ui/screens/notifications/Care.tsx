import { useRef, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, look } from '../../lib/api'
import { useDraft } from '../../lib/draft'
import { useKeys } from '../../lib/keys'
import { may } from '../../lib/session'
import { clock, exactTime, now } from '../../lib/time'
import { Action } from '../../parts/Action'
import { Moved } from '../../parts/Moved'
import { Facts, Section } from '../../parts/Page'
import { Time } from '../../parts/Time'
import { AcknowledgeAlert, AlertById, SnoozeAlert, type AlertByIdQuery } from './alert.gql'
import { LIFE } from './words'

const HOUR_MS = 3_600_000
const SNOOZES: [number, string][] = [
  [1, '1 hour'],
  [4, '4 hours'],
  [8, '8 hours'],
  [24, '1 day'],
  [72, '3 days'],
  [168, '1 week'],
]
const MOST_OF_NOTE = 1000

type Alert = Extract<NonNullable<AlertByIdQuery['node']>, { __typename: 'Alert' }>

/** Who has taken note, what they say, and until when nobody is told. */
export function Care({ alert, changed }: { alert: Alert; changed: () => void }) {
  const isKnown = alert.acknowledgedAt !== null
  const isAsleep = alert.snoozedUntil !== null && new Date(alert.snoozedUntil).getTime() > now.value
  const isOpen = alert.state === 'OPEN'
  return (
    <Section title="Who takes care of it">
      <Facts
        rows={[
          ['Acknowledged', alert.acknowledgedAt && <Time at={alert.acknowledgedAt} exact />],
          ['Note', alert.note && <span class="said-of-it">{alert.note}</span>],
          ['Snoozed until', isOpen && isAsleep ? <Time at={alert.snoozedUntil} exact /> : null],
        ]}
      />
      {!isKnown && isOpen && (
        <p>
          Acknowledge it once somebody looks after it: nobody is told of it again, and the others see your note. It
          resolves by itself when what it tells of is over. <a href={LIFE}>More</a>
        </p>
      )}
      <div class="care">
        <Note key={alert.id} alert={alert} isKnown={isKnown || !isOpen} changed={changed} />
        {isOpen && <Snooze alert={alert} isAsleep={isAsleep} changed={changed} />}
      </div>
    </Section>
  )
}

function Note({ alert, isKnown, changed }: { alert: Alert; isKnown: boolean; changed: () => void }) {
  const form = useDraft({ note: alert.note ?? '' })
  const box = useRef<HTMLTextAreaElement>(null)
  useKeys([{ keys: 'a', does: isKnown ? 'Change the note' : 'Acknowledge, with a note', run: () => box.current?.focus() }])
  return (
    <div class="note">
      <label>
        <span>Note for the others, if any</span>
        <textarea
          ref={box}
          maxLength={MOST_OF_NOTE}
          disabled={!may('ADMIN')}
          value={form.draft.note}
          onInput={(event) => form.set({ note: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === 'Escape') event.currentTarget.blur()
          }}
        />
      </label>
      <Moved form={form} names={{ note: 'The note' }} />
      <Action
        scope="ADMIN"
        kind={isKnown ? '' : 'main'}
        disabled={isKnown && !form.isChanged}
        run={async () => {
          const { node } = await look(AlertById, { id: alert.id })
          if (node?.__typename === 'Alert' && !form.meets({ note: node.note ?? '' })) {
            changed()
            return
          }
          const told = { id: alert.id, note: form.changes.note ?? null }
          const { acknowledgeAlert } = await form.send(() => ask(AcknowledgeAlert, told), form.draft)
          const wrong = acknowledgeAlert.userErrors[0]
          if (wrong) {
            say(wrong.message, { isBad: true })
            return
          }
          say(isKnown ? 'The note is saved.' : 'It is acknowledged.')
          form.settle(form.draft)
          changed()
        }}
      >
        {isKnown ? 'Save the note' : 'Acknowledge'}
      </Action>
    </div>
  )
}

function Snooze({ alert, isAsleep, changed }: { alert: Alert; isAsleep: boolean; changed: () => void }) {
  const [hours, setHours] = useState(SNOOZES[0]![0])
  const box = useRef<HTMLSelectElement>(null)
  useKeys([{ keys: 'z', does: 'Snooze', run: () => box.current?.focus() }])
  const set = async (until: string | null) => {
    const { snoozeAlert } = await ask(SnoozeAlert, { id: alert.id, until })
    const wrong = snoozeAlert.userErrors[0]
    if (wrong) {
      say(wrong.message, { isBad: true })
      return
    }
    say(until ? `Nobody is told of it before ${exactTime(until)}.` : 'It is awake: all are told again if it is open.')
    changed()
  }
  return (
    <div class="snooze">
      <label>
        <span>Tell nobody of it for</span>
        <select ref={box} value={hours} onChange={(event) => setHours(Number(event.currentTarget.value))}>
          {SNOOZES.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <Action scope="ADMIN" run={() => set(new Date(clock() + hours * HOUR_MS).toISOString())}>
        Snooze
      </Action>
      {isAsleep && (
        <Action scope="ADMIN" run={() => set(null)}>
          Wake it now
        </Action>
      )}
    </div>
  )
}
