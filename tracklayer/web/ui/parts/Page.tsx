import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { arrivals } from '../lib/router'

let greeted = 0 // the last arrival whose title got the focus

/** A screen: its title, also the tab's, what can be done on it, and the rest. */
export function Page({ title, actions, children }: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · TrackLayer`
  }, [title])
  // Another screen: a reader begins at its title, also where that is asked for first and then replaced.
  useEffect(() => {
    const isNew = arrivals.peek() !== greeted
    greeted = arrivals.peek()
    if (isNew || (greeted && document.activeElement === document.body)) heading.current?.focus({ preventScroll: true })
  }, [])
  return (
    <>
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </>
  )
}

/** A part of a screen with a heading of its own. */
export function Section({ title, actions, children }: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="section" aria-label={title}>
      <div class="section-head">
        <h2>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </section>
  )
}

/** Names and values, one below the other. Rows without a value are left out. */
export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows
        .filter(([, value]) => value !== null && value !== undefined && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}
