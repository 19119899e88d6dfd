// The dashboard: which address shows which screen.

import { signal } from '@preact/signals'
import { render } from 'preact'

import { listenForKeys } from './lib/keys'
import { followAlerts } from './lib/live'
import { KEYS, loadPlatforms } from './lib/platforms'
import { followLinks, path } from './lib/router'
import { resume, session, signIn } from './lib/session'
import { restoreTheme } from './lib/theme'
import { Empty } from './parts/Notice'
import { Page } from './parts/Page'
import { Shell } from './parts/Shell'
import { Deliveries } from './screens/deliveries/Deliveries'
import { DestinationPage } from './screens/destinations/DestinationPage'
import { Destinations } from './screens/destinations/Destinations'
import { EventPage } from './screens/event/EventPage'
import { Events } from './screens/events/Events'
import { Home } from './screens/home/Home'
import { AlertPage } from './screens/notifications/AlertPage'
import { Notifications } from './screens/notifications/Notifications'
import { Settings } from './screens/settings/Settings'
import { SignIn } from './screens/sign-in/SignIn'
import './parts/base.css'

function screen() {
  const [first = '', ...rest] = path.value.slice(1).split('/').map(decoded)
  const one = rest.join('/')
  if (first === 'events') return one ? <EventPage key={one} eventId={one} /> : <Events />
  if (first === 'notifications') return one ? <AlertPage key={one} id={one} /> : <Notifications />
  if (first === 'destinations') {
    const platform = KEYS.find((key) => key.toLowerCase() === one)
    if (!one) return <Destinations />
    if (platform) return <DestinationPage key={platform} platform={platform} />
  }
  if (!one && first === '') return <Home />
  if (!one && first === 'deliveries') return <Deliveries />
  if (!one && first === 'settings') return <Settings />
  return (
    <Page title="Not found">
      <Empty title="There is no such page.">
        <p>
          <a href="/">Go home</a>
        </p>
      </Empty>
    </Page>
  )
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const problem = signal<string | null>(null)

function App() {
  if (session.value === undefined) return <p class="loading" role="status">Loading …</p>
  if (session.value === null) return <SignIn problem={problem.value} />
  return <Shell>{screen()}</Shell>
}

/** A link's code is in the fragment, which no log sees; it is taken out of the address before it is used. */
async function enter(): Promise<void> {
  const code = new URLSearchParams(location.hash.slice(1)).get('code')
  if (code === null) {
    problem.value = await resume()
    return
  }
  history.replaceState(null, '', location.pathname + location.search)
  problem.value = await signIn({ code })
}

restoreTheme()
followLinks()
listenForKeys()
followAlerts()
loadPlatforms()
void enter()
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#code=')) void enter()
})
const root = document.getElementById('app')
if (root) {
  root.textContent = ''
  render(<App />, root)
}
