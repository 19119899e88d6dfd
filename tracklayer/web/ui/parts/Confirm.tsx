// A question before something that cannot be taken back, or that costs something.

import './form.css'
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

import { Dialog, type Deed } from './Dialog'

/** Says first what will happen, then does it. `word`: what must be typed before. */
export function Confirm({
  title,
  close,
  children,
  word,
  ...deed
}: {
  title: string
  close: () => void
  children: ComponentChildren
  word?: string
} & Deed) {
  const [typed, setTyped] = useState('')
  const isTyped = word === undefined || folded(typed) === folded(word)
  return (
    <Dialog title={title} close={close} deed={{ ...deed, disabled: deed.disabled || !isTyped }}>
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
    </Dialog>
  )
}

/** As it is read: blanks of any kind and number are one. */
function folded(text: string): string {
  return text.normalize('NFC').replace(/\s+/g, ' ').trim()
}
