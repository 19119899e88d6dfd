// A person asks to be forgotten: first what would go, then the job, then its receipt.

import { Fragment } from 'preact'
import { useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { useAsk } from '../../lib/ask'
import { count, counted } from '../../lib/format'
import { param, setParams } from '../../lib/router'
import { may } from '../../lib/session'
import { clock } from '../../lib/time'
import { useUnsaved } from '../../lib/unsaved'
import { Action } from '../../parts/Action'
import { Confirm } from '../../parts/Confirm'
import { Pager } from '../../parts/List'
import { ErrorNotice } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { Mark } from '../../parts/Status'
import { Table } from '../../parts/Table'
import { Time } from '../../parts/Time'
import { troubleOf, Troubles, type Trouble } from '../../parts/Troubles'
import { ErasePerson, Erasures, ExportPerson, UnsuppressPerson, type ErasePersonMutation, type ErasePersonMutationVariables, type ErasuresQuery } from './erasure.gql'
import { TextField } from './TextField'

type Row = ErasuresQuery['merchant']['erasures']['nodes'][number]

const PAGE = 'erasuresAfter' // the page of receipts that is shown, in the address

const nobody = { email: '', phone: '', externalId: '', browserId: '', eventIds: '' }

type Who = typeof nobody
type Input = ErasePersonMutationVariables['input']

/** What was looked at: it alone is shown, and erased. */
interface Looked {
  who: Who
  input: Input
  suppress: boolean
  found: ErasePersonMutation['erasePerson']
}

const labels: Record<string, string> = {
  email: 'email',
  phone: 'phone',
  externalId: 'your own id',
  browserId: 'browser id',
  eventIds: 'events',
}

const givenOf = (who: Who) => Object.entries(who).filter(([, value]) => value.trim())

/** An id may hold blanks. */
const linesOf = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

function inputOf(who: Who): Input {
  return Object.fromEntries(givenOf(who).map(([name, value]) => [name, name === 'eventIds' ? linesOf(value) : value.trim()]))
}

export function Erasure() {
  const canErase = may('ADMIN')
  const after = param(PAGE)
  const asked = useAsk(Erasures, { after }, { every: 5000, when: canErase })
  const [who, setWho] = useState(nobody)
  const [suppress, setSuppress] = useState(true)
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const [looked, setLooked] = useState<Looked | null>(null)
  const [answered, setAnswered] = useState('') // who was asked about, once that is answered
  const input = inputOf(who)
  const typed = JSON.stringify(who)
  useUnsaved(givenOf(who).length > 0 && typed !== answered)
  const set = (part: Partial<Who>) => setWho({ ...who, ...part })
  const call = async (of: Pick<Looked, 'input' | 'suppress'>, dryRun: boolean) => {
    const { erasePerson } = await ask(ErasePerson, { input: of.input, suppress: of.suppress, dryRun })
    setTroubles(erasePerson.userErrors)
    return erasePerson.userErrors.length ? null : erasePerson
  }
  const look = async () => {
    const of = { who, input, suppress }
    const found = await call(of, true)
    setLooked(found && { ...of, found })
  }
  const found = asked.data?.merchant.erasures
  const rows = found?.nodes ?? []
  return (
    <Section title="A person’s data">
      <p>
        Gives all that is stored about somebody who asks for it, or deletes it where they ask to be forgotten. What the ad platforms
        have is theirs to delete: the receipt says what each got. <a href="/docs/erasure">How to answer such a request</a>
      </p>
      <form class="settings-form" autocomplete="off" onSubmit={(event) => event.preventDefault()}>
        <Troubles troubles={troubles} shown={['email', 'phone', 'externalId', 'browserId', 'eventIds']} />
        <TextField name="erase-email" label="Email" help="Plain, or its SHA-256." value={who.email} errors={troubleOf(troubles, 'email')} disabled={!canErase} change={(email) => set({ email })} />
        <TextField name="erase-phone" label="Phone" help="With + and country code, or its SHA-256." value={who.phone} errors={troubleOf(troubles, 'phone')} disabled={!canErase} change={(phone) => set({ phone })} />
        <TextField name="erase-external" label="Your own id of the person" value={who.externalId} errors={troubleOf(troubles, 'externalId')} disabled={!canErase} change={(externalId) => set({ externalId })} />
        <TextField name="erase-browser" label="Browser id" value={who.browserId} errors={troubleOf(troubles, 'browserId')} disabled={!canErase} change={(browserId) => set({ browserId })} />
        <div class="setting">
          <label class="setting-label" for="erase-events">
            Event ids, one a line
          </label>
          <textarea id="erase-events" rows={2} spellcheck={false} disabled={!canErase} value={who.eventIds} onInput={(event) => set({ eventIds: event.currentTarget.value })} />
          {troubleOf(troubles, 'eventIds').map((one) => (
            <p class="setting-wrong" role="alert" key={one}>
              {one}
            </p>
          ))}
        </div>
        <label class="option">
          <input type="checkbox" checked={suppress} disabled={!canErase} onChange={() => setSuppress(!suppress)} /> Leave this person alone from
          now on
          <span class="setting-help">Later events are counted and kept without identifiers, and sent to no platform.</span>
        </label>
        <div class="actions">
          <Action scope="ADMIN" disabled={Object.keys(input).length === 0} run={look}>
            See what would go …
          </Action>
          <Action
            scope="ADMIN"
            title="All that is stored about this person, as JSON"
            disabled={Object.keys(input).length === 0}
            run={async () => {
              const { exportPerson } = await ask(ExportPerson, { input })
              setTroubles(exportPerson.userErrors)
              if (exportPerson.userErrors.length) return
              setAnswered(typed)
              const { events, browsers, eventsUncertain, json } = exportPerson
              const uncertain = eventsUncertain && ` ${counted(eventsUncertain, 'event')} may be theirs or somebody else’s: “See what would go” says which.`
              if (json === null)
                say('It is more than can be put together here: whoever runs TrackLayer gets it with “tracklayer person export”.', { isBad: true })
              else if (events + browsers === 0) say(uncertain ? `Nothing is stored that is surely this person’s.${uncertain}` : 'Nothing is stored about this person.')
              else {
                download(json, `person-${new Date(clock()).toISOString().slice(0, 19).replaceAll(':', '')}.json`)
                say(`${counted(events, 'event')} and ${counted(browsers, 'browser')}: keep the file as what it is.${uncertain || ''}`)
              }
            }}
          >
            Download what is stored
          </Action>
          <Action
            scope="ADMIN"
            disabled={Object.keys(input).length === 0}
            run={async () => {
              const { unsuppressPerson } = await ask(UnsuppressPerson, { input })
              setTroubles(unsuppressPerson.userErrors)
              if (unsuppressPerson.userErrors.length) return
              setAnswered(typed)
              say(
                unsuppressPerson.lifted
                  ? 'Later events with this are taken as anybody’s again. What else the erasure named is still left alone.'
                  : 'Nobody with this was left alone.',
              )
            }}
          >
            Let this person back
          </Action>
        </div>
      </form>
      {looked && (
        <Confirm
          title="Erase this person?"
          verb="Erase"
          kind="danger"
          word="erase"
          close={() => setLooked(null)}
          run={async (isHere) => {
            const begun = await call(looked, false)
            if (!begun) return
            if (after !== null && isHere()) setParams({ [PAGE]: null }, { replace: true }) // where it is shown
            setWho((now) => (JSON.stringify(now) === JSON.stringify(looked.who) ? nobody : now))
            asked.again()
            const how = begun.wasThereBefore ? 'It was asked for before and goes on already: one receipt for both' : 'It is being erased'
            say(begun.complete ? 'Erased.' : `${how}; the list below says how far it is.`)
          }}
        >
          <Outcome looked={looked} />
        </Confirm>
      )}
      <ErrorNotice error={asked.error} again={asked.again} />
      {rows.length > 0 && (
        <Table<Row>
          label="Erasures"
          asCards
          isStale={asked.isStale}
          rows={rows}
          columns={[
            { name: 'Asked for', cell: (row) => <Time at={row.requestedAt} exact /> },
            {
              name: 'State',
              cell: (row) => {
                if (row.state === 'FINISHED') return <Mark tone="good" word="Finished" />
                if (row.state === 'GIVEN_UP') return <Mark tone="bad" word="Its secret key was given up: erase again" />
                const looked = `${counted(row.eventsScanned, 'event')} looked at`
                return row.failingSince ? <Mark tone="bad" word={`Fails and is tried again, ${looked}`} /> : <Mark tone="wait" word={`Running, ${looked}`} />
              },
            },
            { name: 'Events', isNumber: true, cell: (row) => count(row.eventsErased) },
            { name: 'Deliveries', isNumber: true, cell: (row) => count(row.deliveriesErased) },
            { name: 'Left alone', cell: (row) => (row.suppressed ? 'yes' : 'no') },
            {
              name: 'Receipt',
              cell: (row) =>
                row.receipt ? (
                  <button type="button" class="plain" onClick={() => download(row.receipt!, `erasure-${row.requestedAt.slice(0, 19).replaceAll(':', '')}.json`)}>
                    Download
                  </button>
                ) : (
                  '–'
                ),
            },
          ]}
        />
      )}
      <Pager page={{ rows, pageInfo: found?.pageInfo ?? null }} by={PAGE} label="Pages of erasures" />
    </Section>
  )
}

/** Who it is, and what would go. */
function Outcome({ looked: { input, suppress, found } }: { looked: Looked }) {
  return (
    <>
      <p>
        Whoever fits{' '}
        {Object.entries(input).map(([name, value], index) => (
          <Fragment key={name}>
            {index > 0 && ', or '}
            {labels[name]}{' '}
            {[value].flat().map((one, place) => (
              <Fragment key={place}>
                {place > 0 && ', '}
                <code>{one}</code>
              </Fragment>
            ))}
          </Fragment>
        ))}
        .{' '}
        {suppress ? 'They are left alone from now on: later events of theirs go to no platform.' : 'Later events of theirs are taken as anybody’s.'}
      </p>
      <p>
        {found.complete ? '' : 'So far '}
        {counted(found.eventsErased, 'event')}, {counted(found.deliveriesErased, 'delivery', 'deliveries')} and{' '}
        {counted(found.identitiesErased, 'browser')} would go.
        {!found.complete && ' There was no time to look at all events; the job looks at every one.'}
      </p>
      {found.sharedIdentities > 0 && (
        <p>{counted(found.sharedIdentities, 'browser')} that others use as well would stay, and lose the link to this person.</p>
      )}
      {Math.max(found.differentEmails, found.differentPhones, found.differentExternalIds) > 1 && (
        <p>
          <b>They may be several people’s:</b> the events carry {counted(found.differentEmails, 'email')},{' '}
          {counted(found.differentPhones, 'phone')} and {counted(found.differentExternalIds, 'id of your own', 'ids of your own')}.
        </p>
      )}
      {found.eventsUncertain > 0 && (
        <p>
          {counted(found.eventsUncertain, 'event')} would stay, as they may be somebody else’s: {found.uncertainEventIds.join(', ')}
          {found.eventsUncertain > found.uncertainEventIds.length && ' …'}. Name what is the person’s among the event ids.
        </p>
      )}
      <p>This cannot be taken back. Your backups, and what the platforms have, are not touched.</p>
    </>
  )
}

/** As it is, letter by letter: a receipt is signed. */
function download(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}
