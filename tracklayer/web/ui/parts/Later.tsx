// A screen whose script is asked for when it is first opened.

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { Loading, Notice } from './Notice'

/** The screen that a part holds, for use as any other component. `load`: imports it; it is asked once. */
export function later<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let found: ComponentType<Props> | null = null
  return function Later(props: Props) {
    const [, setThere] = useState(found !== null)
    const [isGone, setGone] = useState(false)
    useEffect(() => {
      if (found) return
      load().then(
        (one) => {
          found = one
          setThere(true)
        },
        () => setGone(true),
      )
    }, [])
    if (isGone) {
      return (
        <Notice tone="warn">
          <p>This part of the dashboard could not be loaded: TrackLayer was updated, or does not answer.</p>
          <button type="button" onClick={() => location.reload()}>
            Load the page again
          </button>
        </Notice>
      )
    }
    const Found = found
    return Found ? <Found {...props} /> : <Loading />
  }
}
