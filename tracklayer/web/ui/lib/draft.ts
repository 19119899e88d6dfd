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
  /** Of what was changed here, what was changed elsewhere since that began: as it is there now. */
  moved: Partial<T>
  /** Gives up what was typed where it was changed elsewhere. */
  takeMoved: () => void
  discard: () => void
  /** `saved`: as it is stored now. What was typed since it was sent stays. */
  settle: (saved: T) => void
  /** Takes up what is stored at this moment; false, and it is said, where that is not what one saw when one typed. */
  meets: (stored: T) => boolean
}

interface Three<T> {
  /** What the form began with. */
  base: T
  draft: T
  /** What is stored, as far as is known. */
  theirs: T
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

function namesOf<T extends object>(...all: T[]): (keyof T)[] {
  return [...new Set(all.flatMap((one) => Object.keys(one)))] as (keyof T)[]
}

function pick<T extends object>(from: T, names: (keyof T)[]): Partial<T> {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Partial<T>
}

/** With what is stored now: taken over where nobody changed it here, or to the same. */
function take<T extends object>({ base, draft }: Three<T>, theirs: T): Three<T> {
  const free = namesOf(draft, theirs).filter((name) => isSame(draft[name], base[name]) || isSame(draft[name], theirs[name]))
  const taken = pick(theirs, free)
  return { base: { ...base, ...taken }, draft: { ...draft, ...taken }, theirs }
}

const changed = <T extends object>({ base, draft }: Three<T>) => namesOf(draft).filter((name) => !isSame(draft[name], base[name]))

const clashing = <T extends object>(held: Three<T>) => changed(held).filter((name) => !isSame(held.theirs[name], held.base[name]))

/** A draft of the values that are shown; each field for itself. */
export function useDraft<T extends object>(shown: T): Draft<T> {
  const held = useRef<Three<T>>({ base: shown, draft: shown, theirs: shown })
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
  useUnsaved(names.length > 0)
  return {
    draft,
    set: (part) => become({ ...held.current, draft: { ...held.current.draft, ...part } }),
    changes: pick(draft, names),
    isChanged: names.length > 0,
    moved: pick(held.current.theirs, clashing(held.current)),
    takeMoved: () => {
      const { base, draft: typed, theirs } = held.current
      const taken = pick(theirs, clashing(held.current))
      become({ base: { ...base, ...taken }, draft: { ...typed, ...taken }, theirs })
    },
    discard: () => become({ base: held.current.theirs, draft: held.current.theirs, theirs: held.current.theirs }),
    settle: (saved) => {
      const typed = held.current.draft
      const since = namesOf(typed).filter((name) => !isSame(typed[name], draft[name]))
      become({ base: saved, draft: { ...saved, ...pick(typed, since) }, theirs: saved })
    },
    meets: (stored) => {
      const before = held.current.theirs
      become(take(held.current, stored))
      if (clashing(held.current).every((name) => isSame(before[name], stored[name]))) return true
      say('Not saved: somebody else changed it meanwhile. Look at what it is now, then save again.', { isBad: true })
      return false
    },
  }
}
