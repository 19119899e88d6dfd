import { may } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Section } from '../../parts/Page'
import { Troubles } from '../../parts/Troubles'
import { useDraft, useUpdate, type Merchant } from './merchant'

/** Who gets alerts by e-mail, one address a line. */
export function Emails({ merchant, saved }: { merchant: Merchant; saved: () => void }) {
  const { troubles, update } = useUpdate(saved)
  const { draft, setDraft, isChanged, settle } = useDraft(merchant.alertEmails.join('\n'))
  const addresses = draft.split(/[\n,;]/).map((one) => one.trim()).filter(Boolean)
  const wrong = troubles
    .filter((one) => one.field?.[0] === 'alertEmails' || one.field?.includes('alertEmails'))
    .map((one) => {
      const address = addresses[Number(one.field?.at(-1))]
      return address ? `${address}: ${one.message}` : one.message
    })
  return (
    <Section title="Alerts by e-mail">
      <form class="settings-form" onSubmit={(event) => event.preventDefault()}>
        <Troubles troubles={troubles} shown={['alertEmails']} />
        <div class="setting" data-wrong={wrong.length > 0 || undefined}>
          <label class="setting-label" for="alert-emails">
            Addresses, one a line
          </label>
          <textarea
            id="alert-emails"
            rows={Math.max(2, addresses.length + 1)}
            spellcheck={false}
            disabled={!may('ADMIN')}
            placeholder="ops@shop.example.com"
            aria-invalid={wrong.length > 0}
            aria-describedby="alert-emails-help"
            value={draft}
            onInput={(event) => setDraft(event.currentTarget.value)}
          />
          {wrong.length > 0 && (
            <p class="setting-wrong" role="alert">
              {wrong.join(' ')}
            </p>
          )}
          <p class="setting-help" id="alert-emails-help">
            {!merchant.sendsMail
              ? 'No mail goes out: whoever runs TrackLayer has set no mail server (TRACKLAYER_SMTP_URL).'
              : addresses.length === 0
                ? 'Nobody is told by e-mail. Alerts still stand under Notifications.'
                : 'Each is told once when an alert opens and once when it is resolved.'}
          </p>
        </div>
        <div class="actions">
          <Action
            scope="ADMIN"
            kind="main"
            disabled={!isChanged}
            run={async () => {
              if (await update({ alertEmails: addresses })) {
                setDraft(addresses.join('\n'))
                settle()
              }
            }}
          >
            Save
          </Action>
        </div>
      </form>
    </Section>
  )
}
