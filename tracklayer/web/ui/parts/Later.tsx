// A screen whose script is asked for when it is first opened.

import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { within } from '../lib/within'
import { Loading, Notice } from './Notice'

/** The screen that a part holds, for use as any other component. `load`: imports it; it is asked once. */
export function later<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let found: ComponentType<Props> | null = null
  return function Later(props: Props) {
    const [, setThere] = useState(found !== null)
    const [failed, setFailed] = useState<'gone' | 'broken' | null>(null)
    useEffect(() => {
      if (found) return
      load().then(
        (one) => {
          found = one
          setThere(true)
        },
        (error: unknown) => {
          console.error(error)
          setFailed(isGone(error) ? 'gone' : 'broken')
        },
      )
    }, [])
    if (failed === 'gone') return <Gone />
    if (failed === 'broken') return <Broken />
    const Found = found
    return Found ? <Found {...props} /> : <Loading />
  }
}

/** Whether a part did not come, as browsers say it; anything else is a fault in it, which comes again with it. */
function isGone(error: unknown): boolean {
  return error instanceof TypeError && /imported module|module script/i.test(error.message)
}

function Broken() {
  return (
    <Notice tone="bad">
      <p role="alert">This part of the dashboard met a fault of its own; the browser’s console says which.</p>
      <button type="button" onClick={() => location.reload()}>
        Load the page again
      </button>
    </Notice>
  )
}

const AGAIN_MS = 3000
const ANSWER_MS = 10_000
const REST_MS = 30_000 // between two times that a page loads itself: what is gone for good does not go round and round

/** Some browsers keep a script that did not come as long as the page lives: the page is loaded again when somebody answers. */
function Gone() {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    const controller = new AbortController()
    const look = async () => {
      try {
        const isThere = await within(
          ANSWER_MS,
          async (limit) => {
            const answer = await fetch('/healthz', { cache: 'no-store', signal: limit })
            await answer.text()
            return answer.ok
          },
          controller.signal,
        )
        if (isThere) return location.reload()
      } catch {
        if (controller.signal.aborted) return
      }
      timer = setTimeout(() => void look(), AGAIN_MS)
    }
    const [visit] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[]
    const rest = visit?.type === 'reload' ? REST_MS - performance.now() : 0
    timer = setTimeout(() => void look(), Math.max(rest, AGAIN_MS))
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [])
  return (
    <Notice tone="warn">
      <p>
        This part of the dashboard could not be loaded: TrackLayer was updated, or does not answer. The page is loaded again by
        itself as soon as it answers.
      </p>
      <button type="button" onClick={() => location.reload()}>
        Load the page again
      </button>
    </Notice>
  )
}
