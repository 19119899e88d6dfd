// One polite voice for what changes by itself or was done: screen readers hear it, and it is seen for a while.

import { signal } from '@preact/signals'

import { clock } from './time'

/** `id`: no two are one, even of the same words: each is heard. */
export const said = signal<{ id: number; text: string; isBad: boolean; at: number } | null>(null)

let times = 0

/** Says something once, such as "3 deliveries are queued again." What is bad stays in the dialog that is open, if one is. */
export function say(text: string, { isBad = false } = {}): void {
  times += 1
  said.value = { id: times, text, isBad, at: clock() }
}

/** Takes back what went wrong: it is tried anew. */
export function hush(): void {
  if (said.peek()?.isBad) said.value = null
}
