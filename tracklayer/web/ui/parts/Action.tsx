import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'

import { hush, say } from '../lib/announce'
import { ApiError } from '../lib/api'
import { keepFocus, partOf } from '../lib/focus'
import { may, type Scope } from '../lib/session'

/** A button that does something: busy meanwhile, and a fault is said. Without the scope it is off and says which it needs.
 * Whoever pressed it stays on it, also where it is off then: `disabled` would take the focus away. */
export function Action({
  scope,
  run,
  children,
  kind = '',
  disabled = false,
  title,
}: {
  scope?: Scope
  run: () => Promise<void> | void
  children: ComponentChildren
  kind?: '' | 'main' | 'danger' | 'plain'
  disabled?: boolean
  title?: string
}) {
  const [isBusy, setBusy] = useState(false)
  const busy = useRef(false) // a second press may come before this is drawn
  const lacks = scope !== undefined && !may(scope)
  return (
    <button
      type="button"
      class={kind}
      aria-disabled={lacks || disabled || isBusy || undefined}
      title={lacks ? `Your key lacks the scope ${scope}.` : title}
      onClick={async ({ currentTarget }) => {
        if (lacks) {
          say(`Your key lacks the scope ${scope}. Sign in with a key that has it.`, { isBad: true })
          return
        }
        if (disabled || busy.current) return
        busy.current = true
        setBusy(true)
        hush()
        const part = partOf(currentTarget)
        try {
          await run()
        } catch (error) {
          say(error instanceof ApiError ? error.message : 'This screen met a fault of its own.', { isBad: true })
        } finally {
          busy.current = false
          setBusy(false)
          if (document.activeElement === currentTarget) keepFocus(currentTarget, part)
        }
      }}
    >
      {children}
      {lacks && <span class="unseen"> (needs the scope {scope})</span>}
    </button>
  )
}

/** Copies a text. */
export function Copy({ text, children = 'Copy' }: { text: string | (() => string); children?: ComponentChildren }) {
  return (
    <Action
      run={async () => {
        try {
          await navigator.clipboard.writeText(typeof text === 'string' ? text : text())
          say('Copied.')
        } catch {
          say('The browser did not allow copying. Select the text instead.', { isBad: true })
        }
      }}
    >
      {children}
    </Action>
  )
}
