import { may } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Moved } from '../../parts/Moved'
import { Section } from '../../parts/Page'
import { Troubles } from '../../parts/Troubles'
import { useForm, type Merchant } from './merchant'

/** Who gets alerts by e-mail, one address a line. */
export function Emails({ merchant, saved }: { merchant: Merchant; saved: () => void }) {
  const { form, troubles, save } = useForm(merchant, saved, (now) => ({ alertEmails: now.alertEmails.join('\n') }))
  const typed = form.draft.alertEmails
  const addresses = typed.split(/[\n,;]/).map((one) => one.trim()).filter(Boolean)
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
            value={typed}
            onInput={(event) => form.set({ alertEmails: event.currentTarget.value })}
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
        <Moved form={form} names={{ alertEmails: 'Addresses' }} />
        <div class="actions">
          <Action scope="ADMIN" kind="main" disabled={!form.isChanged} run={() => save({ alertEmails: addresses })}>
            Save
          </Action>
        </div>
      </form>
    </Section>
  )
}
