import { may } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Code } from '../../parts/Code'
import { Moved } from '../../parts/Moved'
import { Facts, Section } from '../../parts/Page'
import { troubleOf, Troubles } from '../../parts/Troubles'
import { useForm, type Merchant } from './merchant'
import { TextField } from './TextField'

const DAY_SECONDS = 86_400

/** What the shop's pages may tell of the clicks that led to them. */
export function Collector({ merchant, saved }: { merchant: Merchant; saved: () => void }) {
  const now = merchant.collector
  const { form, troubles, save } = useForm(merchant, saved, ({ collector }) => ({
    enabled: collector.enabled,
    origins: collector.origins.join('\n'),
    cookieDomain: collector.cookieDomain ?? '',
    consentRequired: collector.consentRequired,
  }))
  const { draft, set } = form
  const canChange = may('ADMIN')
  const origins = draft.origins.split(/[\s,;]+/).filter(Boolean)
  const wrong = troubles.filter((one) => one.field?.includes('origins')).map((one) => one.message)
  return (
    <Section title="Clicks from your pages">
      <p>
        A small script on your pages keeps the click ids that ads add to their links, in a first-party cookie, until somebody buys. Events
        that name the browser then get them, and platforms recognise more of your customers. <a href="/docs/identity">How it works</a>
      </p>
      <form class="settings-form" onSubmit={(event) => event.preventDefault()}>
        <Troubles troubles={troubles} shown={['collector', 'origins', 'cookieDomain']} />
        <label class="option">
          <input type="checkbox" checked={draft.enabled} disabled={!canChange} onChange={() => set({ enabled: !draft.enabled })} /> Pages may
          call
        </label>
        <div class="setting" data-wrong={wrong.length > 0 || undefined}>
          <label class="setting-label" for="collector-origins">
            Your pages, one a line
          </label>
          <textarea
            id="collector-origins"
            rows={Math.max(2, origins.length + 1)}
            spellcheck={false}
            disabled={!canChange}
            placeholder="https://www.shop.example.com"
            aria-invalid={wrong.length > 0}
            aria-describedby="collector-origins-help"
            value={draft.origins}
            onInput={(event) => set({ origins: event.currentTarget.value })}
          />
          {wrong.length > 0 && (
            <p class="setting-wrong" role="alert">
              {wrong.join(' ')}
            </p>
          )}
          <p class="setting-help" id="collector-origins-help">
            No other page may call.
          </p>
        </div>
        <TextField
          name="cookie-domain"
          label="Domain of the cookie"
          help="Such as shop.example.com: all its hosts share the cookie, so that your backend sees it. Left empty at first, it is found from your pages; emptied later, it is the collector’s own host alone."
          value={draft.cookieDomain}
          errors={troubleOf(troubles, 'cookieDomain')}
          disabled={!canChange}
          change={(cookieDomain) => set({ cookieDomain })}
        />
        <label class="option">
          <input
            type="checkbox"
            checked={draft.consentRequired}
            disabled={!canChange}
            onChange={() => set({ consentRequired: !draft.consentRequired })}
          />{' '}
          Ask first: no cookie, and nothing kept, before a page says that its visitor agreed
          <span class="setting-help">Recommended in the EU.</span>
        </label>
        <Moved
          form={form}
          names={{ enabled: 'Pages may call', origins: 'Your pages', cookieDomain: 'Domain of the cookie', consentRequired: 'Ask first' }}
        />
        <div class="actions">
          <Action
            scope="ADMIN"
            kind="main"
            disabled={!form.isChanged}
            run={() => {
              const { origins: pages, cookieDomain, ...flags } = form.changes
              return save({
                collector: {
                  ...flags,
                  ...(pages !== undefined ? { origins } : {}),
                  ...(cookieDomain !== undefined ? { cookieDomain: cookieDomain.trim() || null } : {}),
                },
              })
            }}
          >
            Save
          </Action>
        </div>
      </form>
      {now.snippet && (
        <>
          <h3>The tag for your pages</h3>
          <Code text={now.snippet} label="The tag for your pages" />
          <p>
            Its address is a host of your own that must lead here by https: <a href="/docs/identity">step 1 of the guide</a>.
            {now.consentRequired && (
              <>
                {' '}
                Call <code>tl.consent(true)</code> on every page once its visitor agreed: before that nothing is kept.
              </>
            )}
          </p>
          <Facts
            rows={[
              ['Cookie', <code>{now.cookieName}</code>],
              ['It lives', `${Math.round(now.cookieMaxAgeSeconds / DAY_SECONDS)} days, anew with each visit`],
              ['In your backend', 'send its value as userData.browserId'],
            ]}
          />
        </>
      )}
    </Section>
  )
}
