// What was typed and not saved: nobody loses it without being asked.

import { useEffect } from 'preact/hooks'

/** Of each form that holds what is not saved: what is asked before one leaves it. */
const forms = new Map<symbol, string | undefined>()

/** Tells whether a form holds what is not saved, as long as it is there. `asks`: what is asked before one leaves it, where more
 * would be lost than what was typed. */
export function useUnsaved(isChanged: boolean, asks?: string): void {
  useEffect(() => {
    if (!isChanged) return
    const form = Symbol()
    forms.set(form, asks)
    if (forms.size === 1) addEventListener('beforeunload', hold)
    return () => {
      forms.delete(form)
      if (forms.size === 0) removeEventListener('beforeunload', hold)
    }
  }, [isChanged, asks])
}

function hold(event: BeforeUnloadEvent): void {
  if (forms.size) event.preventDefault()
}

/** Whether anything here is not saved. */
export function isUnsaved(): boolean {
  return forms.size > 0
}

/** Asks before what is not saved is lost. */
export function mayLeave(): boolean {
  return forms.size === 0 || mayLose([...forms.values()].find((asks) => asks !== undefined))
}

/** Asks whether what is not saved may be lost. */
export function mayLose(question = 'What you changed here is not saved. Leave it?'): boolean {
  return confirm(question)
}

/** Gives up what is not saved, where it is worth nothing any more. */
export function giveUp(): void {
  forms.clear()
}
