// What would be lost if one left, as it is typed and not saved, or shown once: nobody loses it without being asked.

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

/** What would be lost: what is asked before, and the name of the form that it was typed in. */
interface Held {
  asks: string | undefined
  form: string | undefined
}

const held = new Set<Held>()

/** Has it asked before one leaves, until what it gives is called. */
function hold(one: Held): () => void {
  held.add(one)
  if (held.size === 1) addEventListener('beforeunload', stay)
  return () => {
    held.delete(one)
    if (held.size === 0) removeEventListener('beforeunload', stay)
  }
}

/** Tells whether a form holds what is not saved, as long as it is there. `asks`: what is asked before one leaves it, where more
 * would be lost than what was typed. `form`: its name, by which it alone can be given up. */
export function useUnsaved(isChanged: boolean, asks?: string, form?: string): void {
  useEffect(() => (isChanged ? hold({ asks, form }) : undefined), [isChanged, asks, form])
}

export interface Secret {
  title: string
  /** What it is good for. */
  help: string
  text: string
}

/** Secrets that were made and that nobody has put away yet, the oldest first. */
export const secrets = signal<Secret[]>([])

/** What is asked before one leaves while a secret is made. */
export const MAKING = 'A secret is being made. It is shown once, in this tab, as soon as it is there: who closes the tab or signs out never sees it. Leave?'

/** The answer to what makes a secret, which is shown wherever in the dashboard one is by then, and after those before it.
 * `secretOf`: the secret in it; null where none was made. */
export async function makeSecret<Answer>(
  about: Omit<Secret, 'text'>,
  work: () => Promise<Answer>,
  secretOf: (answer: Answer) => string | null,
): Promise<Answer> {
  const making: Held = { asks: MAKING, form: undefined }
  const release = hold(making)
  try {
    const answer = await work()
    const text = secretOf(answer)
    // Given up meanwhile: whoever had it made is here no more.
    if (text !== null && held.has(making)) secrets.value = [...secrets.peek(), { ...about, text }]
    return answer
  } finally {
    release()
  }
}

/** Puts away the secret that is shown. */
export function putAway(): void {
  secrets.value = secrets.peek().slice(1)
}

function stay(event: BeforeUnloadEvent): void {
  if (held.size) event.preventDefault()
}

/** Whether anything here is not saved. */
export function isUnsaved(): boolean {
  return held.size > 0
}

/** Asks before what is not saved is lost. */
export function mayLeave(): boolean {
  return held.size === 0 || mayLose([...held].find(({ asks }) => asks !== undefined)?.asks)
}

/** Asks whether what is not saved may be lost. */
export function mayLose(question = 'What you changed here is not saved. Leave it?'): boolean {
  return confirm(question)
}

/** Gives up what a form holds, where it is worth nothing any more. */
export function giveUp(form: string): void {
  for (const one of held) if (one.form === form) held.delete(one)
}

/** Gives up all of it: nobody is here any more, or somebody else. */
export function giveUpAll(): void {
  held.clear()
  secrets.value = []
}
