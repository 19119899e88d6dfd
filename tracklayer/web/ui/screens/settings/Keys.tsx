// API keys: who may speak for the merchant. A key itself is shown once.

import { useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { makeSecret, MAKING } from '../../lib/unsaved'
import { Action } from '../../parts/Action'
import { Confirm } from '../../parts/Confirm'
import { Dialog } from '../../parts/Dialog'
import { Section } from '../../parts/Page'
import { Badge, Mark } from '../../parts/Status'
import { Table } from '../../parts/Table'
import { Time } from '../../parts/Time'
import { troubleOf, Troubles, type Trouble } from '../../parts/Troubles'
import type { Key } from './merchant'
import { CreateApiKey, RevokeApiKey } from './settings.gql'
import { TextField } from './TextField'

type Scope = Key['scopes'][number]

const scopes: [Scope, string][] = [
  ['INGEST', 'Send events. Reads nothing but what became of them.'],
  ['READ', 'See everything of this merchant. Enough for this dashboard without its buttons.'],
  ['ADMIN', 'Everything, changes of settings and keys too.'],
]

const SECRET = { title: 'Your new key', help: 'Send it as Authorization: Bearer …, or sign in with it.' }

export function Keys({ keys, changed }: { keys: Key[]; changed: () => void }) {
  const [isNew, setNew] = useState(false)
  const [doomed, setDoomed] = useState<Key | null>(null)
  const [showsRevoked, setShowsRevoked] = useState(false)
  const revoked = keys.filter((key) => key.revokedAt !== null)
  const rows = showsRevoked ? keys : keys.filter((key) => key.revokedAt === null)
  return (
    <Section
      title="API keys"
      actions={
        <Action scope="ADMIN" run={() => setNew(true)}>
          Create a key …
        </Action>
      }
    >
      <Table
        label="API keys"
        asCards
        rows={rows}
        columns={[
          {
            name: 'Name',
            cell: (key) => (
              <>
                {key.name} {key.current && <Badge title="You are signed in by it">this session</Badge>}
              </>
            ),
          },
          { name: 'Begins with', cell: (key) => <code>{key.prefix}…</code> },
          {
            name: 'Scopes',
            cell: (key) => key.scopes.map((scope) => <Badge key={scope}>{scope}</Badge>),
          },
          { name: 'Last used', cell: (key) => (key.lastUsedAt ? <Time at={key.lastUsedAt} /> : 'never') },
          { name: 'Created', cell: (key) => <Time at={key.createdAt} />, isMinor: true },
          {
            name: 'Revoke',
            isUnnamed: true,
            cell: (key) =>
              key.revokedAt ? (
                <>
                  <Mark tone="off" word="Revoked" /> <Time at={key.revokedAt} />
                </>
              ) : (
                <Action scope="ADMIN" kind="plain" run={() => setDoomed(key)}>
                  Revoke <span class="unseen">{key.name}</span> …
                </Action>
              ),
          },
        ]}
      />
      {revoked.length > 0 && (
        <p class="below">
          <button type="button" class="plain" aria-pressed={showsRevoked} onClick={() => setShowsRevoked(!showsRevoked)}>
            {showsRevoked ? 'Hide' : 'Show'} {revoked.length} revoked
          </button>
        </p>
      )}
      {isNew && <NewKey close={() => setNew(false)} changed={changed} />}
      {doomed && (
        <Confirm
          title={`Revoke “${doomed.name}”?`}
          verb="Revoke"
          kind="danger"
          word={doomed.name}
          close={() => setDoomed(null)}
          run={async () => {
            const { revokeApiKey } = await ask(RevokeApiKey, { id: doomed.id })
            const [wrong] = revokeApiKey.userErrors
            say(wrong?.message ?? `“${doomed.name}” is worth nothing from now on.`, { isBad: wrong !== undefined })
            changed()
          }}
        >
          <p>
            Whatever uses the key <code>{doomed.prefix}…</code> is refused from then on, and everybody who is signed in by
            it is signed out. It cannot be undone.
          </p>
          {doomed.current && (
            <p class="notice warn">You are signed in by this key: you will be signed out, and need another one to come back.</p>
          )}
          {doomed.lastUsedAt ? (
            <p>
              It was last used <Time at={doomed.lastUsedAt} />.
            </p>
          ) : (
            <p>No program has sent it so far.</p>
          )}
        </Confirm>
      )}
    </Section>
  )
}

function NewKey({ close, changed }: { close: () => void; changed: () => void }) {
  const [name, setName] = useState('')
  const [chosen, setChosen] = useState<Scope[]>(['INGEST'])
  const [troubles, setTroubles] = useState<Trouble[]>([])
  const flip = (scope: Scope) =>
    setChosen(chosen.includes(scope) ? chosen.filter((one) => one !== scope) : [...chosen, scope])
  const create = async () => {
    const input = { name, scopes: chosen }
    const { createApiKey } = await makeSecret(SECRET, () => ask(CreateApiKey, { input }), (made) => made.createApiKey.key)
    setTroubles(createApiKey.userErrors)
    if (!createApiKey.key) return false
    changed()
    return true
  }
  return (
    <Dialog
      title="Create a key"
      close={close}
      isUnsaved={name.trim() !== ''}
      deed={{ verb: 'Create', run: create, disabled: !name.trim() || chosen.length === 0, asks: MAKING }}
    >
      <form>
        <Troubles troubles={troubles} shown={['name']} />
        <TextField
          name="key-name"
          label="Name"
          help="What it is for, such as “shop backend”. It is asked for when the key is revoked."
          value={name}
          errors={troubleOf(troubles, 'name')}
          change={setName}
        />
        <fieldset class="setting">
          <legend class="setting-label">What it may do</legend>
          {scopes.map(([scope, help]) => (
            <label class="option" key={scope}>
              <input type="checkbox" checked={chosen.includes(scope)} onChange={() => flip(scope)} /> {scope}
              <span class="setting-help">{help}</span>
            </label>
          ))}
        </fieldset>
      </form>
    </Dialog>
  )
}
