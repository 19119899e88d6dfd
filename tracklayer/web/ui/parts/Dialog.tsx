import './form.css'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { said } from '../lib/announce'
import { keepFocus, partOf } from '../lib/focus'
import { useHere } from '../lib/here'
import { kept, type Scope } from '../lib/session'
import { mayLose, useUnsaved } from '../lib/unsaved'
import { Action } from './Action'

/** What a dialog does, by a button at its foot. It closes then, if it is still there: by then one may have left it, and be in another
 * one. It stays open where `run` throws or gives false. `asks`: what is asked before it is left while that goes on. */
export interface Deed {
  verb: string
  run: (isHere: () => boolean) => Promise<boolean | void>
  scope?: Scope
  kind?: 'main' | 'danger'
  disabled?: boolean
  asks?: string | undefined
}

/** A question above the screen. Escape and the close button call `close`; focus goes back to where it was.
 * `isUnsaved`: there is something in it that would be lost, such as what was typed, and it is asked before, as `asks` says. */
export function Dialog({
  title,
  close,
  children,
  wide = false,
  isUnsaved = false,
  asks,
  deed,
}: {
  title: string
  close: () => void
  children: ComponentChildren
  wide?: boolean
  isUnsaved?: boolean
  asks?: string
  deed?: Deed
}) {
  const box = useRef<HTMLDialogElement>(null)
  const doing = useRef<string | undefined>(undefined) // what is asked while the deed goes on
  const isHere = useHere()
  useUnsaved(isUnsaved, asks)
  useEffect(() => {
    const before = document.activeElement
    const part = before && partOf(before)
    const dialog = box.current
    return () => {
      dialog?.close()
      if (!(before instanceof HTMLElement) || before === document.body) return
      before.focus()
      keepFocus(before, part)
    }
  }, [])
  // A screen that is kept while nobody is here must not stand before the door.
  const isKept = kept.value !== null
  useEffect(() => {
    if (isKept) box.current?.close()
    else box.current?.showModal()
  }, [isKept])
  const cancel = () => {
    if (doing.current === undefined || mayLose(doing.current)) close()
  }
  const leave = () => {
    if (doing.current !== undefined || !isUnsaved) cancel()
    else if (mayLose(asks)) close()
  }
  return (
    <dialog
      ref={box}
      class={wide ? 'wide' : ''}
      aria-label={title}
      onKeyDown={(event) => {
        // Before the browser: it closes by itself what was asked about once.
        if (event.key !== 'Escape' || event.defaultPrevented) return
        event.preventDefault()
        leave()
      }}
      onCancel={(event) => {
        event.preventDefault()
        leave()
      }}
      onSubmit={(event) => {
        // Enter in a form that does nothing else by it.
        if (event.defaultPrevented) return
        event.preventDefault()
        box.current?.querySelector<HTMLButtonElement>('.dialog-foot button')?.click()
      }}
    >
      <div class="dialog-head">
        <h2>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={leave}>
          ✕
        </button>
      </div>
      {children}
      {deed && (
        <div class="actions dialog-foot">
          <Action
            scope={deed.scope ?? 'ADMIN'}
            kind={deed.kind ?? 'main'}
            disabled={deed.disabled ?? false}
            run={async () => {
              doing.current = deed.asks
              try {
                const isDone = await deed.run(isHere)
                if (isDone !== false && isHere()) close()
              } finally {
                doing.current = undefined
              }
            }}
          >
            {deed.verb}
          </Action>
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        </div>
      )}
      <Heard />
    </dialog>
  )
}

/** What was said since it opened: nobody who is in a dialog hears, or sees well, what stands behind it. */
function Heard() {
  const before = useRef(said.peek())
  const told = said.value === before.current ? null : said.value
  return (
    <>
      {told?.isBad && (
        <p key={told.id} class="notice bad" role="alert">
          {told.text}
        </p>
      )}
      <p class="unseen" role="status">
        {told && !told.isBad && <span key={told.id}>{told.text}</span>}
      </p>
    </>
  )
}
