// Webhooks and Slack: where alerts are told besides e-mail.

import { useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, look } from '../../lib/api'
import { useDraft } from '../../lib/draft'
import { HIDDEN, words } from '../../lib/format'
import { may } from '../../lib/session'
import { makeSecret, MAKING } from '../../lib/unsaved'
import { Action } from '../../parts/Action'
import { Confirm } from '../../parts/Confirm'
import { Dialog } from '../../parts/Dialog'
import { Moved } from '../../parts/Moved'
import { Notice } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { Badge, Mark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { troubleOf, Troubles, type Trouble } from '../../parts/Troubles'
import type { AlertKind } from '../notifications/notifications.gql'
import type { Channel } from './merchant'
import { RemoveAlertChannel, SetAlertChannel, Settings, TestAlertChannel, type SetAlertChannelMutation } from './settings.gql'
import { TextField } from './TextField'

const ALERTS = Object.entries({
  platform_down: 'A platform is down',
  queue_backlog: 'A backlog',
  tracking_stopped: 'Tracking stopped',
  delivery_rate_drop: 'Fewer deliveries succeed',
  events_rejected: 'Events are refused at the door',
  match_quality_drop: 'Events lost identifiers',
  likely_duplicates: 'Likely duplicates',
  value_lost: 'Events lost their value',
  event_name_unknown: 'An event name is filtered out by its spelling',
} satisfies Record<Lowercase<AlertKind>, string>)
const EVENTS: [string, string][] = [
  ['delivery.dropped', 'A delivery is dropped'],
  ['destination.held', 'A destination is held'],
  ['destination.resumed', 'A destination is sent to again'],
  ['redelivery.finished', 'A redelivery is finished'],
]
const titles = new Map([...ALERTS, ...EVENTS, ['*', 'All alerts']] as [string, string][])
const SECRET = { title: 'The channel’s signing secret', help: 'Your receiver checks by it that a message is ours; the guide on alerts shows how.' }
const secretOf = ({ setAlertChannel }: SetAlertChannelMutation) => setAlertChannel.secret
const severities: Record<Channel['minSeverity'], string> = { WARNING: 'Warnings and critical ones', CRITICAL: 'Critical ones only' }

export function Channels({ channels, changed }: { channels: Channel[]; changed: () => void }) {
  const [edited, setEdited] = useState<Channel | 'new' | null>(null)
  return (
    <Section
      title="Alert channels"
      actions={
        <Action scope="ADMIN" run={() => setEdited('new')}>
          Add a channel …
        </Action>
      }
    >
      {channels.length === 0 && (
        <p class="quiet">
          None yet. A webhook tells your own systems of alerts, signed; Slack tells a room of people.
        </p>
      )}
      <ul class="channels">
        {channels.map((channel) => (
          <li key={channel.id}>
            <Line channel={channel} changed={changed} edit={() => setEdited(channel)} />
          </li>
        ))}
      </ul>
      {edited && (
        <Edit
          channel={edited === 'new' ? null : (channels.find((one) => one.id === edited.id) ?? edited)}
          changed={changed}
          close={() => setEdited(null)}
        />
      )}
    </Section>
  )
}

function Line({ channel, changed, edit }: { channel: Channel; changed: () => void; edit: () => void }) {
  const [tested, setTested] = useState<{ isTaken: boolean; words: string } | null>(null)
  const [question, setQuestion] = useState<'remove' | 'rotate' | null>(null)
  const kind = channel.kind === 'SLACK' ? 'Slack' : 'Webhook'
  return (
    <article class="channel" aria-label={`${kind} ${channel.url}`}>
      <div class="channel-head">
        <p>
          <Badge>{kind}</Badge> <code class="channel-url">{channel.url}</code>
        </p>
        <div class="actions">
          <Action
            scope="ADMIN"
            run={async () => {
              setTested(null)
              const { testAlertChannel } = await ask(TestAlertChannel, { id: channel.id })
              const [wrong] = testAlertChannel.userErrors
              setTested(wrong ? { isTaken: false, words: wrong.message } : { isTaken: true, words: 'The test message was taken.' })
              changed()
            }}
          >
            Send a test
          </Action>
          <Action scope="ADMIN" run={edit}>
            Change …
          </Action>
          {channel.kind === 'WEBHOOK' && (
            <Action scope="ADMIN" run={() => setQuestion('rotate')}>
              New secret …
            </Action>
          )}
          <Action scope="ADMIN" kind="plain" run={() => setQuestion('remove')}>
            Remove …
          </Action>
        </div>
      </div>
      <p>
        {channel.topics.map((topic) => (
          <Badge key={topic}>{titles.get(topic) ?? words(topic)}</Badge>
        ))}{' '}
        <span class="quiet">
          {channel.minSeverity === 'CRITICAL' ? 'critical ones only' : 'warnings too'}, since <Time at={channel.createdAt} />
        </span>
      </p>
      {channel.lastError && !tested && (
        <p>
          <Mark tone="bad" word="Not taken:" /> <span class="reason">{channel.lastError}</span>
        </p>
      )}
      {tested && (
        <div role="status">
          <Notice tone={tested.isTaken ? 'good' : 'bad'}>
            <p>{tested.words}</p>
          </Notice>
        </div>
      )}
      {question === 'remove' && (
        <Confirm
          title="Remove this channel?"
          verb="Remove"
          kind="danger"
          close={() => setQuestion(null)}
          run={async () => {
            const { removeAlertChannel } = await ask(RemoveAlertChannel, { id: channel.id })
            const [wrong] = removeAlertChannel.userErrors
            say(wrong?.message ?? 'The channel is removed.', { isBad: wrong !== undefined })
            changed()
          }}
        >
          <p>
            Nothing is told to <code>{channel.url}</code> any more, and messages that wait for it are gone.
          </p>
        </Confirm>
      )}
      {question === 'rotate' && (
        <Confirm
          title="Make a new signing secret?"
          verb="Make a new one"
          asks={MAKING}
          close={() => setQuestion(null)}
          run={async () => {
            const input = { id: channel.id, rotateSecret: true }
            const { setAlertChannel } = await makeSecret(SECRET, () => ask(SetAlertChannel, { input }), secretOf)
            const [wrong] = setAlertChannel.userErrors
            if (wrong) say(wrong.message, { isBad: true })
            changed()
          }}
        >
          <p>The new secret is shown once. For 24 hours messages are signed with both, so that nothing is refused meanwhile.</p>
        </Confirm>
      )}
    </article>
  )
}

/** What can be changed of a channel. `url`: the one to be told at from now on, '' for the one that it has; `shown` is of that. */
function formOf(channel: Channel | null) {
  return {
    address: { url: '', shown: channel?.url ?? '' },
    topics: channel ? [...channel.topics].sort() : ['*'],
    minSeverity: channel?.minSeverity ?? 'WARNING',
  }
}

type Form = ReturnType<typeof formOf>

/** As an address is shown: its host, and dots for what may hold a secret. */
function shownOf(url: string): string {
  if (!URL.canParse(url)) return ''
  const { protocol, host, pathname, search } = new URL(url)
  return `${protocol}//${host}/${pathname + search === '/' ? '' : HIDDEN}`
}

function partWords(part: unknown): string {
  if (Array.isArray(part)) return part.map((topic: string) => titles.get(topic) ?? words(topic)).join(', ')
  return typeof part === 'string' ? severities[part as Channel['minSeverity']] : (part as Form['address']).shown
}

function Edit({ channel, changed, close }: { channel: Channel | null; changed: () => void; close: () => void }) {
  const [kind, setKind] = useState<Channel['kind']>(channel?.kind ?? 'WEBHOOK')
  const form = useDraft(formOf(channel))
  const { topics, minSeverity } = form.draft
  const { url } = form.draft.address
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const isAll = topics.includes('*')
  const flip = (topic: string) =>
    form.set({ topics: topics.includes(topic) ? topics.filter((one) => one !== topic) : [...topics, topic].sort() })
  const box = ([topic, label]: [string, string], disabled = false) => (
    <label class="option" key={topic}>
      <input type="checkbox" checked={topics.includes(topic) || disabled} disabled={disabled} onChange={() => flip(topic)} />{' '}
      {label}
    </label>
  )
  const makesSecret = !channel && kind === 'WEBHOOK'
  const save = async () => {
    if (channel) {
      const { merchant } = await look(Settings, {})
      const now = merchant.alertChannels.find((one) => one.id === channel.id)
      if (now && !form.meets(formOf(now))) {
        changed()
        return false
      }
    }
    const told = channel ? form.changes : form.draft
    const chosen = isAll ? topics.filter((one) => one === '*' || one.includes('.')) : topics
    const input = {
      ...(channel ? { id: channel.id } : { kind }),
      ...(url.trim() ? { url: url.trim() } : {}),
      ...(told.topics ? { topics: chosen } : {}),
      ...(told.minSeverity ? { minSeverity: told.minSeverity } : {}),
    }
    const send = () =>
      form.send(() => ask(SetAlertChannel, { input }), {
        address: { url: '', shown: url.trim() ? shownOf(url.trim()) : form.theirs.address.shown },
        topics: chosen,
        minSeverity,
      })
    const { setAlertChannel } = await (makesSecret ? makeSecret(SECRET, send, secretOf) : send())
    setTroubles(setAlertChannel.userErrors)
    if (!setAlertChannel.channel) return false
    say('Saved.')
    changed()
    return true
  }
  return (
    <Dialog
      title={channel ? 'Change the channel' : 'Add a channel'}
      close={close}
      isUnsaved={form.isChanged}
      deed={{
        verb: channel ? 'Save' : 'Add',
        run: save,
        disabled: topics.length === 0 || (channel ? !form.isChanged : !url.trim()) || !may('ADMIN'),
        asks: makesSecret ? MAKING : undefined,
      }}
    >
      <form>
        <Troubles troubles={troubles} shown={['url', 'topics']} />
        {!channel && (
          <fieldset class="setting">
            <legend class="setting-label">Kind</legend>
            <div class="row">
              {(['WEBHOOK', 'SLACK'] as const).map((one) => (
                <label class="option" key={one}>
                  <input type="radio" name="kind" checked={kind === one} onChange={() => setKind(one)} />{' '}
                  {one === 'SLACK' ? 'Slack' : 'Webhook'}
                </label>
              ))}
            </div>
          </fieldset>
        )}
        <TextField
          name="channel-url"
          label="Address"
          help={
            kind === 'SLACK'
              ? 'The incoming webhook that Slack made for the room.'
              : 'Where your receiver listens: https, or http in your own network where that is allowed.'
          }
          placeholder={channel ? `${channel.url} (leave empty to keep it)` : 'https://'}
          value={url}
          errors={troubleOf(troubles, 'url')}
          change={(typed) => form.set({ address: { url: typed, shown: typed && url ? form.draft.address.shown : (channel?.url ?? '') } })}
        />
        <fieldset class="setting">
          <legend class="setting-label">Told of</legend>
          {box(['*', 'All alerts, also kinds that are added later'])}
          <div class="topics">{ALERTS.map((one) => box(one, isAll))}</div>
          <p class="setting-help">And besides alerts:</p>
          <div class="topics">{EVENTS.map((one) => box(one))}</div>
          {troubleOf(troubles, 'topics').map((one) => (
            <p class="setting-wrong" role="alert" key={one}>
              {one}
            </p>
          ))}
        </fieldset>
        <fieldset class="setting">
          <legend class="setting-label">How bad an alert must be</legend>
          <div class="row">
            {(['WARNING', 'CRITICAL'] as const).map((one) => (
              <label class="option" key={one}>
                <input type="radio" name="severity" checked={minSeverity === one} onChange={() => form.set({ minSeverity: one })} />{' '}
                {severities[one]}
              </label>
            ))}
          </div>
        </fieldset>
        <Moved form={form} names={{ address: 'Address', topics: 'Told of', minSeverity: 'How bad' }} words={partWords} />
      </form>
    </Dialog>
  )
}
