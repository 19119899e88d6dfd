// Who is here and what they may do. The cookie itself is out of this script's reach.

import { signal } from '@preact/signals'

import { learnClock } from './time'
import { giveUpAll, isUnsaved, mayLeave } from './unsaved'
import { within } from './within'

export type Scope = 'INGEST' | 'READ' | 'ADMIN'

export interface Session {
  merchant: { id: string; name: string }
  scopes: Scope[]
}

/** undefined: not known yet; null: nobody. */
export const session = signal<Session | null | undefined>(undefined)

/** Why nobody is here any more, for whoever was. */
export const whyOut = signal<string | null>(null)

/** The merchant of whose screen something is not saved while nobody is here: it is kept out of sight until somebody of
 * that merchant is. null: nothing is kept. */
export const kept = signal<string | null>(null)

// One browser has one session: what one tab does with it, the others hear of.
const others = 'BroadcastChannel' in globalThis ? new BroadcastChannel('tracklayer-session') : null

/** Listens to what other tabs do: who signed out there is out here, and another merchant's data is shown anew. */
export function followOtherTabs(): void {
  others?.addEventListener('message', ({ data }) => {
    if (data === 'out') leave('You signed out in another tab.')
    else void resume()
  })
}

/** The newest that is found out, or was decided, about who is here: what an older question is told is true no more. */
let newest: Promise<string | null> = Promise.resolve(null)

function decide(): void {
  newest = Promise.resolve(null)
}

/** Nobody is here, and nothing of theirs stays. */
function leave(why: string | null): void {
  decide()
  giveUpAll()
  kept.value = null
  whyOut.value = why
  session.value = null
}

/** The server knows the session no more: what was typed by whoever had it stays for them. */
function end(): void {
  const was = session.peek()
  if (was) {
    whyOut.value = 'You are signed out: your session is over, or the key that began it was revoked.'
    kept.value = isUnsaved() ? was.merchant.id : null
  }
  session.value = null
}

/** What its merchant is called now. */
export function learnName(name: string): void {
  const here = session.peek()
  if (here && here.merchant.name !== name) session.value = { ...here, merchant: { ...here.merchant, name } }
}

/** Whether the session may do what needs a scope; ADMIN has them all. */
export function may(scope: Scope): boolean {
  const scopes = session.value?.scopes ?? []
  return scopes.includes('ADMIN') || scopes.includes(scope)
}

const ANSWER_MS = 30_000

interface Told {
  ok: boolean
  status: number
  text: string
}

async function call(method: string, body?: object): Promise<Told> {
  const asked = Date.now()
  return within(ANSWER_MS, async (limit) => {
    const response = await fetch('/session', {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      // Also without a body: over plain HTTP some browsers say no better that a page of this origin asks.
      headers: { 'content-type': 'application/json' },
      body: body ? JSON.stringify(body) : null,
      signal: limit,
    })
    learnClock(response, asked)
    return { ok: response.ok, status: response.status, text: await response.text() }
  })
}

function take({ ok, status, text }: Told): string | null {
  let answer: { error?: { message?: string } } & Partial<Session> = {}
  try {
    answer = JSON.parse(text)
  } catch {}
  if (ok && answer.merchant && answer.scopes) {
    const before = session.peek()?.merchant.id ?? kept.peek()
    // What this tab shows and was about to change is another merchant's.
    if (before && before !== answer.merchant.id) {
      giveUpAll()
      location.reload()
    }
    session.value = { merchant: answer.merchant, scopes: answer.scopes }
    whyOut.value = null
    kept.value = null
    return null
  }
  session.value = null
  return answer.error?.message ?? `TrackLayer answered ${status}. Try again in a moment.`
}

/** Signs in with a key or a link's code; what is wrong, or null. */
export async function signIn(proof: { key: string } | { code: string }): Promise<string | null> {
  try {
    const wrong = take(await call('POST', proof))
    if (wrong === null) {
      decide()
      others?.postMessage('in')
    }
    return wrong
  } catch {
    session.value = null
    return 'TrackLayer does not answer. Is it running?'
  }
}

const AGAIN_MS = 3000

/** Finds out who is here. What is wrong, where that cannot be told: then it is asked again, and nothing changes here. An answer
 * that comes after a newer one, or after somebody signed in or out, is dropped. */
export function resume(): Promise<string | null> {
  const own: Promise<string | null> = find(() => newest === own)
  newest = own
  return own
}

async function find(isNewest: () => boolean): Promise<string | null> {
  let told: Told | null = null
  try {
    told = await call('GET')
  } catch {}
  if (!isNewest()) return newest
  if (told?.status === 401) {
    end()
    return null
  }
  if (told?.ok) return take(told)
  setTimeout(() => {
    if (isNewest()) void resume()
  }, AGAIN_MS)
  return 'TrackLayer does not answer. It is asked again in a moment.'
}

/** Signs out, unless somebody would rather save first. What went wrong, where the session may still live; then nothing
 * changed here. */
export async function signOut(): Promise<string | null> {
  if (!mayLeave()) return null
  try {
    const response = await call('DELETE')
    if (!response.ok && response.status !== 401) throw new Error()
  } catch {
    return 'You are still signed in: TrackLayer could not end your session. Try again in a moment.'
  }
  leave(null)
  others?.postMessage('out')
  return null
}
