// A form of what others may change as well: what nobody touches here follows them, and what somebody typed is neither lost nor
// put over theirs without a word.

import { useRef, useState } from 'preact/hooks'

import { say } from './announce'
import { useUnsaved } from './unsaved'

export interface Draft<T> {
  draft: T
  set: (part: Partial<T>) => void
  /** What was changed here, and nothing else: what is to be sent. */
  changes: Partial<T>
  isChanged: boolean
  /** What is stored, as far as is known. */
  theirs: T
  /** Of what was changed here, what was changed elsewhere since that began: as it is there now. */
  moved: Partial<T>
  /** Gives up what was typed where it was changed elsewhere. */
  takeMoved: () => void
  discard: () => void
  /** `saved`: as it is stored now. What was typed since it was sent stays. */
  settle: (saved: T) => void
  /** Takes up what is stored at this moment, before the draft is sent; false, and it is said, where that is not what one saw when
   * one typed. */
  meets: (stored: T) => boolean
  /** Sends what was changed. `asStored`: as it would stand there then. Where no answer comes, what is found there is one's own
   * if it is that. */
  send: <Result>(work: () => Promise<Result>, asStored: T) => Promise<Result>
}

interface Three<T> {
  /** What the form began with. */
  base: T
  draft: T
  theirs: T
  /** What was changed and sent, as it would be stored, and whether it arrived is not known: what is stored may be that, and then
   * nobody else changed it. */
  sent: Partial<T>
  /** The draft that was sent. */
  typed: T
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

function namesOf<T extends object>(...all: T[]): (keyof T)[] {
  return [...new Set(all.flatMap((one) => Object.keys(one)))] as (keyof T)[]
}

function pick<T extends object>(from: Partial<T>, names: (keyof T)[]): Partial<T> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Partial<T>
}

/** With what is stored now: taken over where nobody changed it here, or to the same, or where it is what was sent. */
function take<T extends object>(held: Three<T>, theirs: T): Three<T> {
  const { base, draft, sent, typed } = held
  const ours = changed(held)
  const arrived = ours.filter((name) => name in sent && isSame(sent[name], theirs[name]))
  const free = namesOf(draft, theirs).filter(
    (name) => !ours.includes(name) || isSame(draft[name], theirs[name]) || (arrived.includes(name) && isSame(draft[name], typed[name])),
  )
  const taken = pick(theirs, free)
  const lost = pick(sent, (Object.keys(sent) as (keyof T)[]).filter((name) => !arrived.includes(name)))
  return { base: { ...base, ...taken, ...pick(theirs, arrived) }, draft: { ...draft, ...taken }, theirs, sent: lost, typed }
}

/** What was put back to what it was is a change as well, where that is stored no more. */
const changed = <T extends object>({ base, draft, theirs }: Three<T>) =>
  namesOf(draft).filter((name) => !isSame(draft[name], base[name]) || !isSame(theirs[name], base[name]))

const clashing = <T extends object>(held: Three<T>) => changed(held).filter((name) => !isSame(held.theirs[name], held.base[name]))

/** A draft of the values that are shown; each field for itself. `form`: as of `useUnsaved`. */
export function useDraft<T extends object>(shown: T, form?: string): Draft<T> {
  const held = useRef<Three<T>>({ base: shown, draft: shown, theirs: shown, sent: {}, typed: shown })
  const seen = useRef(shown)
  const [, setTurn] = useState(0)
  if (!isSame(shown, seen.current)) {
    seen.current = shown
    held.current = take(held.current, shown)
  }
  const become = (next: Three<T>) => {
    held.current = next
    setTurn((one) => one + 1)
  }
  const { draft } = held.current
  const names = changed(held.current)
  useUnsaved(names.length > 0, undefined, form)
  return {
    draft,
    set: (part) => become(take({ ...held.current, draft: { ...held.current.draft, ...part } }, held.current.theirs)),
    changes: pick(draft, names),
    isChanged: names.length > 0,
    theirs: held.current.theirs,
    moved: pick(held.current.theirs, clashing(held.current)),
    takeMoved: () => {
      const { base, draft: typed, theirs } = held.current
      const taken = pick(theirs, clashing(held.current))
      become({ ...held.current, base: { ...base, ...taken }, draft: { ...typed, ...taken } })
    },
    discard: () => become({ ...held.current, base: held.current.theirs, draft: held.current.theirs }),
    settle: (saved) => {
      const typed = held.current.draft
      const since = namesOf(typed).filter((name) => !isSame(typed[name], draft[name]))
      become({ ...held.current, base: saved, draft: { ...saved, ...pick(typed, since) }, theirs: saved, sent: {} })
    },
    meets: (stored) => {
      const before = held.current.theirs
      become(take(held.current, stored))
      if (clashing(held.current).every((name) => isSame(before[name], stored[name]))) return true
      say('Not saved: somebody else changed it meanwhile. Look at what it is now, then save again.', { isBad: true })
      return false
    },
    send: async (work, asStored) => {
      held.current = { ...held.current, sent: pick(asStored, changed(held.current)), typed: held.current.draft }
      const answer = await work()
      held.current = { ...held.current, sent: {} } // stored, or refused: either is known
      return answer
    },
  }
}
