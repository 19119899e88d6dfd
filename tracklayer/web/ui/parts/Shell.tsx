// What stands around every screen: where one is, what is open, which clock, and the keys.

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { said, say } from '../lib/announce'
import { count } from '../lib/format'
import { goTo, shortcuts, useKeys } from '../lib/keys'
import { isLive, isUncounted, openAlerts } from '../lib/live'
import { arrivals, path, scrollToPlace } from '../lib/router'
import { may, session, signOut } from '../lib/session'
import { setTheme, theme, type Theme } from '../lib/theme'
import { behind, duration, now, setZone, zone, zoneName } from '../lib/time'
import { Dialog } from './Dialog'
import { Notice } from './Notice'
import { Secrets } from './Once'

const screens: [string, string, string][] = [
  ['/', 'Home', 'h'],
  ['/events', 'Events', 'e'],
  ['/deliveries', 'Deliveries', 'd'],
  ['/notifications', 'Notifications', 'n'],
  ['/destinations', 'Destinations', 't'],
  ['/settings', 'Settings', 's'],
]

export function Shell({ children }: { children: ComponentChildren }) {
  const [isHelp, setHelp] = useState(false)
  useKeys([
    ...screens.map(([href, name, key]) => goTo(`g ${key}`, name, href)),
    { keys: '?', does: 'List the keys', run: () => setHelp(true) },
  ])
  // Another screen: what was read is left. The focus goes to its title (parts/Page), as soon as there is one.
  useEffect(() => {
    if (arrivals.value) scrollToPlace()
  }, [arrivals.value])

  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          TrackLayer
        </a>
        <nav aria-label="Screens">
          {screens.map(([href, name]) => (
            <a key={href} href={href} aria-current={isAt(href) ? 'page' : undefined}>
              {name}
              {href === '/notifications' && <OpenCount />}
            </a>
          ))}
        </nav>
        <div class="tools">
          <span class="who" title={`Scopes of your key: ${session.value?.scopes.join(', ') ?? ''}`}>
            {session.value?.merchant.name}
            {!may('ADMIN') && <span class="badge">read only</span>}
          </span>
          <button type="button" class="plain" title="Times in UTC or as on this computer" onClick={() => setZone(zone.value === 'utc' ? 'local' : 'utc')}>
            {zone.value === 'utc' ? 'UTC' : zoneName()}
          </button>
          <ThemeSwitch />
          <button type="button" class="plain" title="Keys (?)" aria-label="List the keys" onClick={() => setHelp(true)}>
            ?
          </button>
          <a href="/docs">Docs</a>
          <button type="button" class="plain" onClick={() => void leave()}>
            Sign out
          </button>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <WrongClock />
        {children}
      </main>
      <Said />
      {isHelp && <Keys close={() => setHelp(false)} />}
      <Secrets />
    </>
  )
}

async function leave(): Promise<void> {
  const wrong = await signOut()
  if (wrong) say(wrong, { isBad: true })
}

function isAt(href: string): boolean {
  return href === '/' ? path.value === '/' : path.value === href || path.value.startsWith(`${href}/`)
}

function WrongClock() {
  if (behind.value === 0) return null
  return (
    <Notice tone="warn">
      <p>
        This computer’s clock is {duration(Math.round(behind.value / 5000) * 5000)} {behind.value > 0 ? 'slow' : 'fast'}. Times here are by TrackLayer’s
        clock.
      </p>
    </Notice>
  )
}

function OpenCount() {
  const open = openAlerts.value?.length ?? 0
  const isUnsure = isUncounted.value
  if (!open && !isUnsure) return null
  const live = isLive.value ? 'Open alerts, live' : 'Open alerts; the live connection is being made again'
  return (
    <span class="open-count" title={isUnsure ? 'How many alerts are open is not known now; it is asked again in a moment' : live}>
      {open > 0 && (open >= 100 ? '100+' : count(open))}
      {isUnsure && '?'}
      <span class="unseen"> open alerts{isUnsure && ': how many is not known now'}</span>
    </span>
  )
}

const themes: [Theme, string][] = [
  ['auto', 'Auto'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

function ThemeSwitch() {
  const index = themes.findIndex(([one]) => one === theme.value)
  const next = themes[(index + 1) % themes.length]!
  return (
    <button type="button" class="plain" title={`Colours: ${themes[index]![1]}. Press for ${next[1]}.`} onClick={() => setTheme(next[0])}>
      {themes[index]![1]}
      <span class="unseen"> colours</span>
    </button>
  )
}

const SEEN_MS = 6000

function Said() {
  const told = said.value
  const isSeen = told !== null && now.value - told.at < SEEN_MS
  return (
    <div class={`said ${told?.isBad ? 'bad' : ''} ${isSeen ? 'seen' : ''}`} role="status" aria-live="polite">
      {told && <span key={told.id}>{told.text}</span>}
    </div>
  )
}

function Keys({ close }: { close: () => void }) {
  const seen = new Map(shortcuts().map((one) => [one.keys, one.does]))
  return (
    <Dialog title="Keys" close={close}>
      <dl class="facts keys">
        {[...seen].map(([keys, does]) => (
          <div key={keys}>
            <dt>
              {keys.split(' ').map((key, index) => (
                <kbd key={index}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
