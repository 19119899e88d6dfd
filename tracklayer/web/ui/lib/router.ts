// Where one is: the address is the only place in which filters live, so that a link shows what one sees.

import { computed, signal } from '@preact/signals'

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

/** Goes to an address of ours. `replace`: without a step for the back button. */
export function go(href: string, { replace = false } = {}): void {
  const before = location.pathname
  history[replace ? 'replaceState' : 'pushState'](null, '', href)
  place.value = here()
  if (location.pathname !== before) arrivals.value += 1
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

const ours = /^\/(events|deliveries|notifications|destinations|settings|why)?(\/|$)/

/** Makes plain links to our screens go there without loading the page again. */
export function followLinks(): void {
  addEventListener('popstate', () => {
    const before = place.value.path
    place.value = here()
    if (place.value.path !== before) arrivals.value += 1
  })
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
