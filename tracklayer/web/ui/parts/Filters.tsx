// Filters: each is a parameter of the address and nothing else.

import { createContext, type ComponentChildren } from 'preact'
import { useContext, useEffect, useRef, useState } from 'preact/hooks'

import { useKeys } from '../lib/keys'
import { param, paramsOf, place, setParams } from '../lib/router'
import { zone } from '../lib/time'

type Understands = (value: string) => boolean

const Known = createContext(new Map<string, Understands>())

/** Tells the filters around it that a parameter is one of them, and which of its values it understands. */
export function useFilter(name: string, understands: Understands = () => true): void {
  const known = useContext(Known)
  useEffect(() => {
    known.set(name, understands)
  })
  useEffect(() => () => void known.delete(name), [name])
}

const among = (options: readonly [string, string][]) => (value: string) =>
  options.length === 0 || options.some(([one]) => one === value)

export const isInstant = (value: string) => !Number.isNaN(Date.parse(value))

/** Holds filters; says whether any is set, takes all of them back, and says which of the address are none.
 * `keep`: parameters that are no filters. */
export function Filters({ children, keep = [] }: { children: ComponentChildren; keep?: string[] }) {
  const known = useRef(new Map<string, Understands>())
  const [strange, setStrange] = useState('')
  const given = [...place.value.params].filter(([name, value]) => value !== '' && name !== 'after' && !keep.includes(name))
  const set = [...new Set(given.map(([name]) => name))]
  // Behind the effects of the filters in it, by which they are known.
  useEffect(() => {
    const not = given.filter(([name, value]) => !known.current.get(name)?.(value))
    setStrange(not.map(([name, value]) => `${name}=${value}`).join(', '))
  })
  return (
    <Known.Provider value={known.current}>
      <form class="filters" role="search" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
        {children}
        {set.length > 0 && (
          <button type="button" class="plain" onClick={() => setParams(Object.fromEntries(set.map((name) => [name, null])))}>
            Clear filters
          </button>
        )}
      </form>
      <Strange told={strange} />
    </Known.Provider>
  )
}

function Strange({ told }: { told: string }) {
  if (!told) return null
  return (
    <div class="notice warn" role="status">
      <p>
        Not understood, and left out: <code class="strange">{told}</code>
      </p>
    </div>
  )
}

/** Says what of the address is not understood, where no filters say it. `known`: parameters and which of their values are. */
export function NotUnderstood({ known }: { known: Record<string, Understands> }) {
  const strange = [...place.value.params].filter(([name, value]) => value !== '' && !(Object.hasOwn(known, name) && known[name]!(value)))
  return <Strange told={strange.map(([name, value]) => `${name}=${value}`).join(', ')} />
}

/** Understands these and nothing else. */
export const oneOf = (values: readonly string[]) => (value: string) => values.includes(value)

/** One of several. `options`: value -> words. */
export function Select({ name, label, options, all = 'All' }: { name: string; label: string; options: [string, string][]; all?: string }) {
  useFilter(name, among(options))
  return (
    <label class="filter">
      <span>{label}</span>
      <select value={param(name) ?? ''} onChange={(event) => setParams({ [name]: event.currentTarget.value })}>
        <option value="">{all}</option>
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  )
}

/** Any of several, as boxes in a fold. */
export function Several({ name, label, options }: { name: string; label: string; options: [string, string][] }) {
  useFilter(name, among(options))
  const chosen = paramsOf(name)
  const flip = (value: string) =>
    setParams({ [name]: chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value] })
  const told = options.filter(([value]) => chosen.includes(value)).map(([, words]) => words)
  return (
    <details class="filter several">
      <summary>
        <span>{label}</span>
        <b>{told.length === 0 ? 'All' : told.length > 2 ? `${told.length} of ${options.length}` : told.join(', ')}</b>
      </summary>
      <fieldset>
        <legend class="unseen">{label}</legend>
        {options.map(([value, words]) => (
          <label key={value}>
            <input type="checkbox" checked={chosen.includes(value)} onChange={() => flip(value)} /> {words}
          </label>
        ))}
      </fieldset>
    </details>
  )
}

const TYPING_MS = 350

/** Text that filters shortly after one stops typing. `key`: the key that brings one here. `enter`: what Enter does besides. */
export function TextFilter({
  name,
  label,
  placeholder,
  hotkey,
  enter,
}: {
  name: string
  label: string
  placeholder?: string
  hotkey?: string
  enter?: (text: string) => void
}) {
  useFilter(name)
  const given = param(name) ?? ''
  const [text, setText] = useState(given)
  const box = useRef<HTMLInputElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  // A blank at the end is no part of the filter, and more may be typed behind it.
  useEffect(() => {
    if (given !== text.trim()) setText(given)
  }, [given])
  useEffect(() => () => clearTimeout(timer.current), [])
  useKeys(hotkey ? [{ keys: hotkey, does: label, run: () => box.current?.focus() }] : [])
  // What is typed on the way to a filter is no place to go back to.
  const apply = (value: string, options?: { replace?: boolean }) => {
    clearTimeout(timer.current)
    if (value.trim() !== (param(name) ?? '')) setParams({ [name]: value.trim() }, options)
  }
  return (
    <label class="filter">
      <span>{label}</span>
      <input
        ref={box}
        type="search"
        value={text}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          const value = event.currentTarget.value
          setText(value)
          clearTimeout(timer.current)
          timer.current = setTimeout(() => apply(value, { replace: true }), TYPING_MS)
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') {
            apply(text)
            enter?.(text.trim())
          }
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
    </label>
  )
}

/** From a time to a time: parameters `since` and `until`, instants in UTC; shown in the zone that is chosen. */
export function TimeRange({ since = 'since', until = 'until' }: { since?: string; until?: string }) {
  return (
    <>
      <Moment name={since} label="From" />
      <Moment name={until} label="Before" />
    </>
  )
}

function Moment({ name, label }: { name: string; label: string }) {
  useFilter(name, isInstant)
  const at = param(name)
  return (
    <label class="filter">
      <span>
        {label} ({zone.value === 'utc' ? 'UTC' : 'local'})
      </span>
      <input
        type="datetime-local"
        value={at ? toField(at) : ''}
        onChange={(event) => {
          const value = event.currentTarget.value
          setParams({ [name]: value ? fromField(value) : null })
        }}
      />
    </label>
  )
}

function toField(at: string): string {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return ''
  const shift = zone.value === 'utc' ? 0 : date.getTimezoneOffset() * 60_000
  return new Date(date.getTime() - shift).toISOString().slice(0, 16)
}

function fromField(value: string): string | null {
  const date = new Date(zone.value === 'utc' ? `${value}Z` : value)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
