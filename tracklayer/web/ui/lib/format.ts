// Numbers and words as people read them; no digit is dropped.

import { Digits, type Decimal } from './exact'

/** What stands for a secret, or for the part of it that is not shown, and for what is kept sealed, as the API writes it. */
export const HIDDEN = '••••'

const counts = new Intl.NumberFormat('en-US')

/** 12,345 */
export function count(n: number): string {
  return counts.format(n)
}

/** 1 event, 2,140 events */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

/** Thousands apart, digits as they were written: 1,234.50 */
export function amount(value: Decimal): string {
  const source = value instanceof Digits ? value.source : String(value)
  const found = /^(-?)(\d+)(\.\d+)?$/.exec(source)
  if (!found) return source
  return found[1]! + found[2]!.replace(/\B(?=(\d{3})+$)/g, ',') + (found[3] ?? '')
}

export function money(value: Decimal | null | undefined, currency: string | null | undefined): string {
  if (value == null) return ''
  return currency ? `${amount(value)} ${currency}` : amount(value)
}

/** Of 0 to 1: 99.97 %. Only what is all is said to be 100 %, and only what is nothing 0 %. */
export function percent(share: number): string {
  if (share > 0.9999 && share < 1) return '> 99.99 %'
  if (share > 0 && share < 0.0001) return '< 0.01 %'
  return `${Number((share * 100).toFixed(share > 0.99 || share < 0.01 ? 2 : 1))} %`
}

/** 840 ms, 1.4 s, 2 min 5 s, 22 h 56 min */
export function latency(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** RETRIES_EXHAUSTED is Retries exhausted. */
export function words(name: string): string {
  const text = name.replaceAll('_', ' ').toLowerCase()
  return text.charAt(0).toUpperCase() + text.slice(1)
}
