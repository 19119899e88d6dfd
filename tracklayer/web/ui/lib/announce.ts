// One polite voice for what changes by itself or was done: screen readers hear it, and it is seen for a while.

import { signal } from '@preact/signals'

import { clock } from './time'

export const said = signal<{ text: string; isBad: boolean; at: number } | null>(null)

/** Says something once, such as "3 deliveries are queued again." */
export function say(text: string, { isBad = false } = {}): void {
  said.value = { text, isBad, at: clock() }
}
