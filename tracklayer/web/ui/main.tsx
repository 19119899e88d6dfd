// The dashboard: which address shows which screen.

import { signal } from '@preact/signals'
import { render } from 'preact'

import { listenForKeys } from './lib/keys'
import { followAlerts } from './lib/live'
import { KEYS, loadPlatforms } from './lib/platforms'
import { followLinks, path } from './lib/router'
import { resume, session, signIn } from './lib/session'
import { restoreTheme } from './lib/theme'
import { later } from './parts/Later'
import { Empty } from './parts/Notice'
import { Page } from './parts/Page'
import { Shell } from './parts/Shell'
import { SignIn } from './screens/sign-in/SignIn'
import './parts/base.css'

const Home = later(() => import('./screens/home/Home').then((part) => part.Home))
const Events = later(() => import('./screens/events/Events').then((part) => part.Events))
const EventPage = later(() => import('./screens/event/EventPage').then((part) => part.EventPage))
const Deliveries = later(() => import('./screens/deliveries/Deliveries').then((part) => part.Deliveries))
const Notifications = later(() => import('./screens/notifications/Notifications').then((part) => part.Notifications))
const AlertPage = later(() => import('./screens/notifications/AlertPage').then((part) => part.AlertPage))
const Destinations = later(() => import('./screens/destinations/Destinations').then((part) => part.Destinations))
const DestinationPage = later(() => import('./screens/destinations/DestinationPage').then((part) => part.DestinationPage))
const Settings = later(() => import('./screens/settings/Settings').then((part) => part.Settings))
const Why = later(() => import('./screens/why/Why').then((part) => part.Why))

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
  if (!one && first === 'why') return <Why />
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
