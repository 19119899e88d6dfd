// Who is here and what they may do. The cookie itself is out of this script's reach.

import { signal } from '@preact/signals'

export type Scope = 'INGEST' | 'READ' | 'ADMIN'

export interface Session {
  merchant: { name: string }
  scopes: Scope[]
}

/** undefined: not known yet; null: nobody. */
export const session = signal<Session | null | undefined>(undefined)

/** Whether the session may do what needs a scope; ADMIN has them all. */
export function may(scope: Scope): boolean {
  const scopes = session.value?.scopes ?? []
  return scopes.includes('ADMIN') || scopes.includes(scope)
}

async function call(method: string, body?: object): Promise<Response> {
  return fetch('/session', {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    // Also without a body: over plain HTTP some browsers say no better that a page of this origin asks.
    headers: { 'content-type': 'application/json' },
    body: body ? JSON.stringify(body) : null,
  })
}

async function take(response: Response): Promise<string | null> {
  let answer: { error?: { message?: string } } & Partial<Session> = {}
  try {
    answer = await response.json()
  } catch {}
  if (response.ok && answer.merchant && answer.scopes) {
    session.value = { merchant: answer.merchant, scopes: answer.scopes }
    return null
  }
  session.value = null
  return answer.error?.message ?? `TrackLayer answered ${response.status}. Try again in a moment.`
}

/** Signs in with a key or a link's code; what is wrong, or null. */
export async function signIn(proof: { key: string } | { code: string }): Promise<string | null> {
  try {
    return await take(await call('POST', proof))
  } catch {
    session.value = null
    return 'TrackLayer does not answer. Is it running?'
  }
}

/** Finds out who is here. What is wrong, where that cannot be told. */
export async function resume(): Promise<string | null> {
  try {
    const response = await call('GET')
    if (response.status === 401) {
      await response.text() // an answer that nobody reads keeps its connection
      session.value = null
      return null
    }
    return await take(response)
  } catch {
    session.value = null
    return 'TrackLayer does not answer. Is it running?'
  }
}

export async function signOut(): Promise<void> {
  try {
    await call('DELETE')
  } finally {
    session.value = null
  }
}
