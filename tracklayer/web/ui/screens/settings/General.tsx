import { may } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Moved } from '../../parts/Moved'
import { Section } from '../../parts/Page'
import { troubleOf, Troubles } from '../../parts/Troubles'
import { useForm, type Merchant } from './merchant'
import { TextField } from './TextField'

const rules: [Merchant['requireConsent'], string, string][] = [
  ['NEVER', 'Send unless consent is denied', 'What says nothing about consent is sent.'],
  [
    'EEA',
    'Ask for consent in the EEA, the UK and Switzerland',
    'Events of people there, and of those whose country is not known, are sent only with adUserData granted.',
  ],
  ['ALWAYS', 'Ask for consent everywhere', 'No event is sent without adUserData granted.'],
]

/** The merchant's name and what is filled in on every platform. */
export function General({ merchant, saved }: { merchant: Merchant; saved: () => void }) {
  const { form, troubles, save } = useForm(merchant, saved, (now) => ({
    name: now.name,
    defaultCurrency: now.defaultCurrency ?? '',
    defaultPageUrl: now.defaultPageUrl ?? '',
    requireConsent: now.requireConsent,
  }))
  const { draft, set, changes } = form
  const canChange = may('ADMIN')
  return (
    <Section title="General">
      <form class="settings-form" onSubmit={(event) => event.preventDefault()}>
        <Troubles troubles={troubles} shown={['name', 'defaultCurrency', 'defaultPageUrl']} />
        <TextField
          name="merchant-name"
          label="Name"
          help="What this shop is called here, in alerts and in mails."
          value={draft.name}
          errors={troubleOf(troubles, 'name')}
          disabled={!canChange}
          change={(name) => set({ name })}
        />
        <TextField
          name="default-currency"
          label="Currency, where an event brings none"
          help="Three letters, such as USD. Empty: nothing is filled in. A destination’s own setting wins."
          value={draft.defaultCurrency}
          errors={troubleOf(troubles, 'defaultCurrency')}
          disabled={!canChange}
          change={(defaultCurrency) => set({ defaultCurrency })}
        />
        <TextField
          name="default-page"
          label="Page, where a website event brings none"
          help="Such as https://shop.example.com/. Empty: nothing is filled in. A destination’s own setting wins."
          value={draft.defaultPageUrl}
          errors={troubleOf(troubles, 'defaultPageUrl')}
          disabled={!canChange}
          change={(defaultPageUrl) => set({ defaultPageUrl })}
        />
        <fieldset class="setting" disabled={!canChange}>
          <legend class="setting-label">Consent</legend>
          {rules.map(([rule, label, help]) => (
            <label class="option" key={rule}>
              <input
                type="radio"
                name="consent"
                checked={draft.requireConsent === rule}
                onChange={() => set({ requireConsent: rule })}
              />{' '}
              {label}
              <span class="setting-help">{help}</span>
            </label>
          ))}
          <p class="setting-help">Of people whom the choice does not ask, an event with consent denied goes only to platforms that take it so, without e-mail,
            phone and name: their pages say it. A destination’s own setting wins.</p>
        </fieldset>
        <Moved
          form={form}
          names={{ name: 'Name', defaultCurrency: 'Currency', defaultPageUrl: 'Page', requireConsent: 'Consent' }}
          words={(value) => rules.find(([rule]) => rule === value)?.[1] ?? (String(value) || 'empty')}
        />
        <div class="actions">
          <Action
            scope="ADMIN"
            kind="main"
            disabled={!form.isChanged}
            run={() =>
              save({
                ...(changes.name !== undefined ? { name: changes.name } : {}),
                ...(changes.defaultCurrency !== undefined ? { defaultCurrency: changes.defaultCurrency.trim() || null } : {}),
                ...(changes.defaultPageUrl !== undefined ? { defaultPageUrl: changes.defaultPageUrl.trim() || null } : {}),
                ...(changes.requireConsent !== undefined ? { requireConsent: changes.requireConsent } : {}),
              })
            }
          >
            Save
          </Action>
        </div>
      </form>
    </Section>
  )
}
