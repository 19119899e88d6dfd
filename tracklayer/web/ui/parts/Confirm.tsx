// A question before something that cannot be taken back, or that costs something.

import './form.css'
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

import type { Scope } from '../lib/session'
import { Action } from './Action'
import { Dialog } from './Dialog'

/** Says first what will happen, then does it. `word`: what must be typed before. `asks`: as of an Action. It stays open where
 * `run` throws. */
export function Confirm({
  title,
  verb,
  run,
  close,
  children,
  scope = 'ADMIN',
  kind = 'main',
  word,
  disabled = false,
  asks,
}: {
  title: string
  verb: string
  run: () => Promise<void> | void
  close: () => void
  children: ComponentChildren
  scope?: Scope
  kind?: 'main' | 'danger'
  word?: string
  disabled?: boolean
  asks?: string
}) {
  const [typed, setTyped] = useState('')
  const isTyped = word === undefined || folded(typed) === folded(word)
  return (
    <Dialog title={title} close={close}>
      {children}
      {word !== undefined && (
        <label class="typed">
          <span>
            Type <b>{word}</b> to confirm
          </span>
          <input
            autocomplete="off"
            spellcheck={false}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
      )}
      <div class="actions dialog-foot">
        <Action scope={scope} kind={kind} disabled={disabled || !isTyped} run={run} asks={asks}>
          {verb}
        </Action>
        <button type="button" onClick={close}>
          Cancel
        </button>
      </div>
    </Dialog>
  )
}

/** As it is read: blanks of any kind and number are one. */
function folded(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim()
}
