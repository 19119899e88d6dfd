// Who is here and what they may do. The cookie itself is out of this script's reach.

import { signal } from '@preact/signals'

import { learnClock } from './time'
import { giveUp } from './unsaved'

export type Scope = 'INGEST' | 'READ' | 'ADMIN'

export interface Session {
  merchant: { id: string; name: string }
  scopes: Scope[]
}

/** undefined: not known yet; null: nobody. */
export const session = signal<Session | null | undefined>(undefined)

// One browser has one session: what one tab does with it, the others hear of.
const others = 'BroadcastChannel' in globalThis ? new BroadcastChannel('tracklayer-session') : null

/** Listens to what other tabs do: who signed out there is out here, and another merchant's data is shown anew. */
export function followOtherTabs(): void {
  others?.addEventListener('message', () => void resume())
}

/** Whether the session may do what needs a scope; ADMIN has them all. */
export function may(scope: Scope): boolean {
  const scopes = session.value?.scopes ?? []
  return scopes.includes('ADMIN') || scopes.includes(scope)
}

async function call(method: string, body?: object): Promise<Response> {
  const asked = Date.now()
  const answer = await fetch('/session', {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    // Also without a body: over plain HTTP some browsers say no better that a page of this origin asks.
    headers: { 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  })
  learnClock(answer, asked)
  return answer
}

async function take(response: Response): Promise<string | null> {
  let answer: { error?: { message?: string } } & Partial<Session> = {}
  try {
    answer = await response.json()
  } catch {}
  if (response.ok && answer.merchant && answer.scopes) {
    const before = session.value
    // What this tab shows and was about to change is another merchant's.
    if (before && before.merchant.id !== answer.merchant.id) {
      giveUp()
      location.reload()
    }
    session.value = { merchant: answer.merchant, scopes: answer.scopes }
    return null
  }
  session.value = null
  return answer.error?.message ?? `TrackLayer answered ${response.status}. Try again in a moment.`
}

/** Signs in with a key or a link's code; what is wrong, or null. */
export async function signIn(proof: { key: string } | { code: string }): Promise<string | null> {
  try {
    const wrong = await take(await call('POST', proof))
    if (wrong === null) others?.postMessage('in')
    return wrong
  } catch {
    session.value = null
    return 'TrackLayer does not answer. Is it running?'
  }
}

const AGAIN_MS = 3000

/** Finds out who is here. What is wrong, where that cannot be told: then it is asked again, and nothing changes here. */
export async function resume(): Promise<string | null> {
  try {
    const response = await call('GET')
    if (response.status === 401) {
      await response.text() // an answer that nobody reads keeps its connection
      session.value = null
      return null
    }
    if (response.ok) return await take(response)
  } catch {}
  setTimeout(() => void resume(), AGAIN_MS)
  return 'TrackLayer does not answer. It is asked again in a moment.'
}

/** Signs out. What went wrong, where the session may still live; then nothing changed here. */
export async function signOut(): Promise<string | null> {
  try {
    const response = await call('DELETE')
    await response.text()
    if (!response.ok && response.status !== 401) throw new Error()
  } catch {
    return 'You are still signed in: TrackLayer could not end your session. Try again in a moment.'
  }
  session.value = null
  others?.postMessage('out')
  return null
}
