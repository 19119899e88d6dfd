// The form of a destination: it grows from what the platform says that it takes, and sends only what changed.

import { useRef, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, look } from '../../lib/api'
import { useDraft } from '../../lib/draft'
import type { Json } from '../../lib/exact'
import { count, counted, words } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { may } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Moved } from '../../parts/Moved'
import { Notice } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { troubleOf, Troubles, type Trouble } from '../../parts/Troubles'
import { Destinations, SetDestination, type SetDestinationMutation } from './destinations.gql'
import { EventNames } from './EventNames'
import { changesOf, doubledKeys, draftOf, fieldsOf, settingsOf, storedOf, type Destination, type Field, type Fields, type PlatformForm } from './form'
import { SettingField } from './SettingFields'

type Check = NonNullable<SetDestinationMutation['setDestination']['check']>

export function SettingsForm({
  form,
  destination,
  saved,
}: {
  form: PlatformForm
  destination: Destination | null
  /** `now`: as it stands after it was saved. */
  saved: (now?: Destination) => void
}) {
  const shown = settingsOf(destination?.settings)
  const drafted = useDraft<Fields>(fieldsOf(form.settings, shown), draftOf(form.platform))
  const takes = useDraft({ eventNames: destination?.eventNames ?? null, typed: '' }, draftOf(form.platform))
  const fields = drafted.draft
  const names = takes.draft.eventNames
  const typed = takes.draft.typed.trim() // a name that was not added yet counts as well
  const withTyped = (all: string[] | null) => (all === null || !typed || all.includes(typed) ? all : [...all, typed])
  const taken = withTyped(names)
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const [check, setCheck] = useState<Check | null>(null)

  const box = useRef<HTMLFormElement>(null)

  const changes = changesOf(form.settings, drafted.theirs, drafted.changes)
  const isNewNames = JSON.stringify(taken) !== JSON.stringify(takes.theirs.eventNames)
  const isChanged = Object.keys(changes).length > 0 || isNewNames
  const doubled = form.settings.some((one) => one.kind === 'MAP' && doubledKeys(fields[one.name]!).length > 0)
  const isNameless = taken !== null && taken.length === 0
  const canChange = may('ADMIN')

  const save = async () => {
    setCheck(null)
    const { merchant } = await look(Destinations, {})
    const now = merchant.destinations.find((one) => one.platform === form.platform)
    if (now) {
      const met = [drafted.meets(fieldsOf(form.settings, settingsOf(now.settings))), takes.meets({ eventNames: now.eventNames, typed: '' })]
      if (met.includes(false)) {
        saved()
        return
      }
    }
    // Where somebody else has set it up by now, or changed which names it takes, theirs stay, unless they were changed here.
    const eventNames = now && !('eventNames' in takes.changes) ? withTyped(now.eventNames) : taken
    const input = { platform: form.platform, settings: changes, ...(isNewNames || !now ? { eventNames } : {}) }
    const { setDestination } = await drafted.send(
      () => takes.send(() => ask(SetDestination, { input }), { eventNames, typed: '' }),
      storedOf(form.settings, fields),
    )
    setTroubles(setDestination.userErrors)
    if (!setDestination.destination) {
      say(`Not saved: ${counted(setDestination.userErrors.length, 'thing')} to mend.`, { isBad: true })
      setTimeout(() => box.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
      return
    }
    drafted.settle(fieldsOf(form.settings, settingsOf(setDestination.destination.settings)))
    takes.settle({ eventNames: setDestination.destination.eventNames, typed: '' })
    setCheck(setDestination.check)
    say('Saved.')
    saved(setDestination.destination)
  }

  const isNeeded = (one: PlatformForm['settings'][number]) => one.required || one.demand !== null
  const needed = form.settings.filter(isNeeded)
  const optional = form.settings.filter((one) => !isNeeded(one))
  const isUsed = (name: string) => shown[name] !== undefined && shown[name] !== null
  const field = (setting: PlatformForm['settings'][number]) => (
    <SettingField
      key={setting.name}
      setting={setting}
      field={fields[setting.name]!}
      stored={drafted.theirs[setting.name]!}
      errors={troubleOf(troubles, setting.name)}
      eventNames={Object.keys(settingsOf(form.eventNames))}
      disabled={!canChange}
      change={(next) => drafted.set({ [setting.name]: next })}
    />
  )
  // Some platforms take one of several credentials: none of them is required, and without any nothing is sent.
  const hasSecret = form.settings.some((one) => one.secret && (one.required || isUsed(one.name)))
  const used = optional.filter((one) => isUsed(one.name) || (one.secret && !hasSecret))
  const unused = optional.filter((one) => !used.includes(one))
  const isOpen = (used.length === 0 && needed.length === 0) || unused.some((one) => troubleOf(troubles, one.name).length > 0)

  return (
    <Section title="Settings">
      {!canChange && (
        <Notice>
          <p>Your key lacks the scope ADMIN: you see the settings and cannot change them.</p>
        </Notice>
      )}
      <form
        ref={box}
        class="settings-form"
        onSubmit={(event) => {
          event.preventDefault()
        }}
      >
        <Troubles troubles={troubles} shown={[...form.settings.map((one) => one.name), 'eventNames']} />
        {needed.map(field)}
        {used.map(field)}
        {unused.length > 0 && (
          <details class="more" open={isOpen}>
            <summary>{counted(unused.length, 'more setting')}, each optional</summary>
            {unused.map(field)}
          </details>
        )}
        <EventNames
          form={form}
          names={names}
          typed={takes.draft.typed}
          change={(eventNames) => takes.set({ eventNames, ...(eventNames === null ? { typed: '' } : {}) })}
          type={(text) => takes.set({ typed: text })}
          errors={troubleOf(troubles, 'eventNames')}
          disabled={!canChange}
        />
        <Moved
          form={drafted}
          names={Object.fromEntries(form.settings.map((one) => [one.name, one.label]))}
          words={(field) => fieldWords(field as Field)}
        />
        <Moved form={takes} names={{ eventNames: 'Events', typed: 'Another event name' }} words={(taken) => (taken as string[] | null)?.join(', ') ?? 'every event'} />
        <div class="actions">
          <Action
            scope="ADMIN"
            kind="main"
            disabled={(destination !== null && !isChanged) || doubled || isNameless}
            run={save}
          >
            {destination ? 'Save' : `Set up ${form.title}`}
          </Action>
          {(drafted.isChanged || takes.isChanged) && destination && (
            <button
              type="button"
              onClick={() => {
                drafted.discard()
                takes.discard()
                setTroubles([])
              }}
            >
              Discard changes
            </button>
          )}
          {isChanged && <span class="quiet">{summaryOf(form, changes, isNewNames)}</span>}
        </div>
      </form>
      {check && <CheckResult check={check} title={form.title} />}
    </Section>
  )
}

function fieldWords({ text, lines, stored }: Field): string {
  return text || stored || lines.map((line) => `${line.key}: ${line.value}`).join(', ') || 'not set'
}

function summaryOf(form: PlatformForm, changes: Record<string, Json>, isNewNames: boolean): string {
  const labels = form.settings.filter((one) => one.name in changes).map((one) => one.label)
  if (isNewNames) labels.push('Events')
  return `Not saved yet: ${labels.join(', ')}`
}

/** What it would get of the newest events, as it was just saved. */
function CheckResult({ check, title }: { check: Check; title: string }) {
  const refused = check.events - check.wouldSend
  if (check.events === 0) {
    return (
      <Notice tone={check.warnings.length > 0 ? 'warn' : 'off'}>
        <p>Saved. There is no event of the last 7 days to check it against.</p>
        <Warnings of={check} />
      </Notice>
    )
  }
  return (
    <div role="status">
      <Notice tone={check.wouldSend === 0 ? 'bad' : refused + check.warnings.length > 0 ? 'warn' : 'good'}>
        <p>
          Saved. Of your newest {counted(check.events, 'event')}, {title} would be sent {count(check.wouldSend)}
          {refused > 0 ? `; ${count(refused)} would be refused:` : '.'}
        </p>
        {check.refused.length > 0 && (
          <ul>
            {check.refused.map((one) => (
              <li key={one.reason + one.field}>
                {count(one.count)}: {reasonWords(one.reason)}
                {one.field && (
                  <>
                    {' '}
                    (<code>{one.field}</code>)
                  </>
                )}
                {one.exampleEventId && (
                  <>
                    , such as <a href={eventHref(one.exampleEventId)}>{one.exampleEventId}</a>
                  </>
                )}
              </li>
            ))}
          </ul>
        )}
        <Warnings of={check} />
        {check.noPlace.length > 0 && (
          <details>
            <summary>
              {title} has no place for {counted(check.noPlace.length, 'field')} of theirs
            </summary>
            <ul>
              {check.noPlace.map((one) => (
                <li key={one.field}>
                  {count(one.count)}: <code>{one.field}</code>
                </li>
              ))}
            </ul>
          </details>
        )}
      </Notice>
    </div>
  )
}

function Warnings({ of: check }: { of: Check }) {
  return check.warnings.map((one) => <p key={one.message}>{one.message}</p>)
}

function reasonWords(reason: string): string {
  return /^[A-Z_]+$/.test(reason) ? words(reason) : reason
}
