// The dashboard: which address shows which screen.

import './lib/language'

import { signal } from '@preact/signals'
import { render } from 'preact'

import { say } from './lib/announce'
import { listenForKeys } from './lib/keys'
import { followAlerts } from './lib/live'
import { KEYS, loadPlatforms } from './lib/platforms'
import { followLinks, param, path } from './lib/router'
import { followOtherTabs, kept, resume, session, signIn } from './lib/session'
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
  const dots = first === 'events' && !one ? param('event') : null // an id that no path can hold
  if (dots) return <EventPage key={dots} eventId={dots} />
  if (first === 'events') return one ? <EventPage key={one} eventId={one} /> : <Events />
  if (first === 'notifications') return one ? <AlertPage key={one} id={one} /> : <Notifications />
  if (first === 'destinations') {
    const platform = KEYS.find((key) => key === one.toUpperCase())
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
const offered = signal<string | null>(null) // the code of a link that somebody who is signed in has opened

function App() {
  if (session.value === undefined) {
    return (
      <>
        {/* As the page itself has it, until it is known who is here. */}
        <header class="top">
          <a class="brand" href="/">
            TrackLayer
          </a>
          <a href="/docs">Docs</a>
        </header>
        <p class="loading" role="status">
          {problem.value ?? 'Loading …'}
        </p>
      </>
    )
  }
  const isKept = session.value === null && kept.value !== null
  if (session.value === null && !isKept) return <SignIn problem={problem.value} />
  if (session.value && offered.value !== null) return <Offer code={offered.value} who={session.value.merchant.name} />
  return (
    <>
      {isKept && <SignIn problem={problem.value} />}
      <div class="whole" hidden={isKept}>
        <Shell>{screen()}</Shell>
      </div>
    </>
  )
}

/** Anybody can put a link anywhere: who is signed in is asked before another session takes the place of his own. */
function Offer({ code, who }: { code: string; who: string }) {
  return (
    <main id="content" class="sign-in" tabIndex={-1}>
      <h1>Use the link?</h1>
      <p>
        You are signed in as <strong>{who}</strong>. The link that you opened signs you in anew, perhaps as somebody else.
      </p>
      <div class="actions">
        <button type="button" class="main" onClick={() => (offered.value = null)}>
          Stay as {who}
        </button>
        <button
          type="button"
          onClick={() => {
            offered.value = null
            void use(code)
          }}
        >
          Use the link
        </button>
      </div>
    </main>
  )
}

async function use(code: string): Promise<void> {
  const wrong = await signIn({ code })
  if (wrong === null) return
  await resume() // whoever was signed in before still is
  if (session.value) say(wrong, { isBad: true })
  else problem.value = wrong
}

/** A link's code is in the fragment, which no log sees; it is taken out of the address before it is used. */
async function enter(): Promise<void> {
  const code = new URLSearchParams(location.hash.slice(1)).get('code')
  if (code !== null) history.replaceState(history.state, '', location.pathname + location.search)
  problem.value = await resume()
  if (code === null) return
  if (session.value) offered.value = code
  else await use(code)
}

restoreTheme()
followLinks()
listenForKeys()
followAlerts()
loadPlatforms()
followOtherTabs()
void enter()
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#code=')) void enter()
})
const root = document.getElementById('app')
if (root) {
  root.textContent = ''
  render(<App />, root)
}
