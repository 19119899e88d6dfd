// Why a platform shows other numbers than TrackLayer: what each counts, and when.

import { counted } from '../../lib/format'
import { KEYS, platforms, titleOf } from '../../lib/platforms'
import { choice } from '../../lib/router'
import { NotUnderstood, oneOf } from '../../parts/Filters'
import { Loading } from '../../parts/Notice'
import { Page, Section } from '../../parts/Page'
import './why.css'

function age(hours: number | null | undefined): string {
  if (hours == null) return 'It names no limit.'
  return hours >= 48 && hours % 24 === 0 ? counted(hours / 24, 'day') : counted(hours, 'hour')
}

export function Why() {
  const chosen = choice('platform', KEYS)
  const shown = [...platforms.value].sort((a, b) => Number(b.platform === chosen) - Number(a.platform === chosen))
  return (
    <Page title="Why do the numbers differ?">
      <NotUnderstood known={{ platform: oneOf(KEYS) }} />
      <Section title="Both can be right">
        <p>
          TrackLayer counts <strong>what was delivered</strong>: an event counts in the hour in which it arrived, once for each
          platform, and “delivered” means that the platform answered that it took it. A platform’s reports count{' '}
          <strong>what it credits to its ads</strong>. These are different questions, so the figures differ even when nothing is
          lost.
        </p>
        <dl class="why-reasons">
          <dt>Attribution</dt>
          <dd>
            The platform credits a conversion only where it saw a click or a view of its ad before, within its own attribution
            window. You choose that window in its ads manager. Conversions without such a click are taken and not shown there.
          </dd>
          <dt>Matching</dt>
          <dd>
            It must recognise the person. Events that carry an email address, a phone number or a click id are recognised more
            often.
          </dd>
          <dt>Deduplication</dt>
          <dd>
            Where the same conversion also comes from a pixel in the browser, the platform counts one of the two, if both carry
            the same event id. TrackLayer sees only its own copy.
          </dd>
          <dt>Day and time zone</dt>
          <dd>
            Many reports show a conversion on the day of the click, not of the purchase, and in the time zone of the ad account.
            TrackLayer’s days are those of UTC.
          </dd>
          <dt>Delay and models</dt>
          <dd>
            Reports are filled over hours or days, and most platforms add conversions that they estimate. TrackLayer adds
            nothing.
          </dd>
          <dt>Consent</dt>
          <dd>
            Where somebody refused, the event is dropped with the reason “consent denied”, but for platforms that take it so,
            without e-mail, phone and name.
          </dd>
        </dl>
      </Section>
      {shown.length ? (
        <Section title="What each platform does">
          <div class="table as-cards" role="group" aria-label="What each platform does" tabIndex={0}>
            <table>
              <thead>
                <tr>
                  <th scope="col">Platform</th>
                  <th scope="col">Oldest event it takes</th>
                  <th scope="col">Which copies it counts once</th>
                  <th scope="col">Attribution window</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((one) => (
                  <tr key={one.platform} class={one.platform === chosen ? 'at' : ''}>
                    <th scope="row">
                      <a href={one.docsUrl}>{titleOf(one.platform)}</a>
                    </th>
                    <td data-name="Oldest event it takes">{age(one.maxEventAgeHours)}</td>
                    <td class="words" data-name="Which copies it counts once">
                      {one.deduplication}
                    </td>
                    <td class="quiet words" data-name="Attribution window">
                      its own: see its ads manager
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Section>
      ) : (
        <Loading />
      )}
      <p>
        <a href="/">Back to what became of every event</a> · <a href="/docs/dedup">How deduplication works</a>
      </p>
    </Page>
  )
}
