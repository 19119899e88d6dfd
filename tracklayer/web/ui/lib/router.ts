// Where one is: the address is the only place in which filters live, so that a link shows what one sees.

import { computed, signal } from '@preact/signals'

import { mayLeave } from './unsaved'

export interface Place {
  path: string
  params: URLSearchParams
}

function here(): Place {
  return { path: location.pathname.replace(/(.)\/+$/, '$1'), params: new URLSearchParams(location.search) }
}

export const place = signal<Place>(here())
export const path = computed(() => place.value.path)

/** Counts navigations to another screen: focus and scroll follow it. */
export const arrivals = signal(0)

/** What an entry of the browser's history knows of itself. `scroll`: how far down one was, in px, when it was left. */
interface Entry {
  step: number
  scroll?: number
}

let step = 0
const scrolls = new Map<number, number>()
let wanted = 0

/** Goes to an address of ours. `replace`: without a step for the back button. */
export function go(href: string, { replace = false } = {}): void {
  const before = location.pathname
  if (new URL(href, location.href).pathname !== before && !mayLeave()) return
  if (replace) history.replaceState({ step }, '', href)
  else {
    keepScroll()
    step += 1
    scrolls.delete(step)
    history.pushState({ step }, '', href)
  }
  place.value = here()
  if (location.pathname === before) return
  stopScrolling()
  wanted = 0
  arrivals.value += 1
}

function keepScroll(): void {
  scrolls.set(step, scrollY)
  history.replaceState({ step, scroll: scrollY }, '')
}

/** Where the reader of a screen that just appeared begins: at its top, or where he was when he left it. */
export function scrollToPlace(): void {
  scrollTo(0, wanted)
}

const HANDS = ['wheel', 'touchstart', 'pointerdown', 'keydown']
const PATIENCE_MS = 10_000
let stopScrolling = () => {}

/** Back to where one was, as what was read there comes again; until one moves oneself. */
function returnTo(scroll: number): void {
  stopScrolling()
  wanted = scroll
  const grown = new ResizeObserver(scrollToPlace)
  grown.observe(document.body)
  const timer = setTimeout(() => stopScrolling(), PATIENCE_MS)
  stopScrolling = () => {
    grown.disconnect()
    clearTimeout(timer)
    for (const hand of HANDS) removeEventListener(hand, stopScrolling)
    stopScrolling = () => {}
  }
  for (const hand of HANDS) addEventListener(hand, stopScrolling, { passive: true })
}

/** The same screen's address with some parameters changed; null, '' and [] remove one. */
export function withParams(changes: Record<string, string | string[] | null>, from = place.value): string {
  const params = new URLSearchParams(from.params)
  for (const [name, value] of Object.entries(changes)) {
    params.delete(name)
    if (Array.isArray(value)) value.forEach((one) => params.append(name, one))
    else if (value) params.set(name, value)
  }
  const search = params.toString()
  return from.path + (search ? `?${search}` : '')
}

/** Changes filters: the page begins anew, and the back button knows the filters before. */
export function setParams(changes: Record<string, string | string[] | null>, options?: { replace?: boolean }): void {
  go(withParams({ after: null, ...changes }), options)
}

export function param(name: string): string | null {
  return place.value.params.get(name)
}

export function paramsOf(name: string): string[] {
  return place.value.params.getAll(name)
}

/** A parameter that may be one of these; anything else counts as not given. */
export function choice<T extends string>(name: string, of: readonly T[]): T | null {
  const found = param(name)
  return of.find((one) => one === found) ?? null
}

export function choices<T extends string>(name: string, of: readonly T[]): T[] {
  const found = paramsOf(name)
  return of.filter((one) => found.includes(one))
}

/** A parameter that is a time, as the API writes it; anything else counts as not given. */
export function instant(name: string): string | null {
  const at = Date.parse(param(name) ?? '')
  return Number.isNaN(at) ? null : new Date(at).toISOString()
}

const ours = /^\/(events|deliveries|notifications|destinations|settings|why)?(\/|$)/

/** Takes up an entry that the browser has made or come back to. */
function arrive(entry: Entry | null): void {
  const before = place.value.path
  if (entry === null) {
    // A fragment of this page, to which the browser scrolls.
    place.value = here()
    step += 1
    history.replaceState({ step }, '')
    return
  }
  if (entry.step === step) return // one stays, see below
  if (here().path !== before && !mayLeave()) {
    history.go(step - entry.step)
    return
  }
  place.value = here()
  scrolls.set(step, scrollY)
  step = entry.step
  returnTo(scrolls.get(step) ?? entry.scroll ?? 0)
  if (place.value.path !== before) arrivals.value += 1
}

/** Makes plain links to our screens go there without loading the page again. */
export function followLinks(): void {
  history.scrollRestoration = 'manual'
  const first = history.state as Entry | null
  step = first?.step ?? 0
  history.replaceState({ step }, '')
  if (first?.scroll) returnTo(first.scroll)
  addEventListener('pagehide', keepScroll)
  addEventListener('popstate', (event) => arrive(event.state as Entry | null))
  addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return
    const link = (event.target as Element | null)?.closest?.('a[href]')
    if (!(link instanceof HTMLAnchorElement || link instanceof SVGAElement)) return
    if (link.getAttribute('target') || link.hasAttribute('download')) return
    const to = new URL(link instanceof SVGAElement ? link.href.baseVal : link.href, location.href)
    if (to.origin !== location.origin || !ours.test(to.pathname) || (to.hash && to.pathname === location.pathname))
      return
    event.preventDefault()
    go(to.pathname + to.search + to.hash)
  })
}
