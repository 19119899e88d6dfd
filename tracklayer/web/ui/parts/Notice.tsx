import type { ComponentChildren } from 'preact'

import type { ApiError } from '../lib/api'

/** What went wrong and what to do; nothing where all is well. */
export function ErrorNotice({ error, again }: { error: ApiError | null; again?: () => void }) {
  if (!error || error.code === 'UNAUTHENTICATED') return null
  return (
    <div class="notice bad" role="alert">
      <p>{adviceFor(error)}</p>
      {again && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

function adviceFor(error: ApiError): string {
  const next = error.isAskedAgain ? ' It is asked again in a moment.' : ''
  if (error.code === 'READ_TIMEOUT') return 'That takes too long to look up. Narrow it: a shorter time, one platform.'
  if (error.code === 'DATABASE_AWAY' || error.code === 'OVERLOADED')
    return `TrackLayer cannot look that up now: its database is away or busy. Events that arrive meanwhile are told to come again.${next}`
  if (error.code === 'INTERNAL') return 'TrackLayer met a fault of its own; its log says more. Try again.'
  return error.code === 'UNREACHABLE' ? error.message + next : error.message
}

export function Notice({ tone = 'off', children }: { tone?: 'good' | 'warn' | 'bad' | 'off'; children: ComponentChildren }) {
  return <div class={`notice ${tone}`}>{children}</div>
}

/** Where there is nothing: what that means and what to do. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** Room for what is being asked; heard once, and seen only where it takes long. */
export function Loading({ what = 'Loading' }: { what?: string }) {
  return (
    <p class="loading" role="status">
      {what} …
    </p>
  )
}
