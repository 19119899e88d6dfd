// Everything by keyboard: what a key does is said where it is bound, and `?` lists what is bound now.

import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import { go } from './router'
import { session } from './session'

export interface Shortcut {
  /** As KeyboardEvent.key has it; `g e` is one after the other. */
  keys: string
  does: string
  run: (event: KeyboardEvent) => void
}

const bound = signal<{ shortcuts: readonly Shortcut[] }[]>([])

/** What is bound now, the screen's own last. */
export function shortcuts(): Shortcut[] {
  return bound.value.flatMap((one) => one.shortcuts)
}

/** Binds keys while a component is there. The innermost of two that bind the same key wins. */
export function useKeys(list: Shortcut[]): void {
  const held = useRef<{ shortcuts: readonly Shortcut[] }>({ shortcuts: [] })
  held.current.shortcuts = list
  useEffect(() => {
    const mine = held.current
    bound.value = [...bound.peek(), mine]
    return () => {
      bound.value = bound.peek().filter((one) => one !== mine)
    }
  }, [])
}

const CHORD_MS = 1200
let first = ''
let firstAt = 0

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) &&
    !(target instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(target.type))
  )
}

export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
    if (!session.peek() || isTyping(event.target) || document.querySelector('dialog[open]')) return
    const chord = event.timeStamp - firstAt < CHORD_MS && first ? `${first} ${event.key}` : ''
    first = ''
    const all = shortcuts().reverse()
    const found = all.find((one) => one.keys === chord) ?? all.find((one) => one.keys === event.key)
    if (found) {
      event.preventDefault()
      found.run(event)
    } else if (all.some((one) => one.keys.startsWith(`${event.key} `))) {
      first = event.key
      firstAt = event.timeStamp
    }
  })
}

export const goTo = (keys: string, name: string, href: string): Shortcut => ({
  keys,
  does: `Go to ${name}`,
  run: () => go(href),
})
