import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { said } from '../lib/announce'
import { keepFocus, partOf } from '../lib/focus'
import { kept } from '../lib/session'
import { mayLose, useUnsaved } from '../lib/unsaved'

/** A question above the screen. Escape and the close button call `close`; focus goes back to where it was.
 * `isUnsaved`: there is something in it that would be lost, such as what was typed, and it is asked before, as `asks` says. */
export function Dialog({
  title,
  close,
  children,
  wide = false,
  isUnsaved = false,
  asks,
}: {
  title: string
  close: () => void
  children: ComponentChildren
  wide?: boolean
  isUnsaved?: boolean
  asks?: string
}) {
  const box = useRef<HTMLDialogElement>(null)
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
  const leave = () => {
    if (!isUnsaved || mayLose(asks)) close()
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
    >
      <div class="dialog-head">
        <h2>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={leave}>
          ✕
        </button>
      </div>
      {children}
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
