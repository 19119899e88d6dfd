// What a form for a destination holds, and what of it is sent: only what changed, and a secret only if it was typed.

import type { Json } from '../../lib/exact'
import { HIDDEN } from '../../lib/format'
import type { DestinationsQuery, PlatformFormsQuery } from './destinations.gql'

export type Destination = DestinationsQuery['merchant']['destinations'][number]
export type PlatformForm = PlatformFormsQuery['platforms'][number]
export type Setting = PlatformForm['settings'][number]
export type Shown = { [name: string]: Json }

const SHOWS_ITS_END = 12 // characters that a secret has at least of which the last four are shown

/** One line of a map: what stands left, and what it becomes. */
export interface Line {
  key: string
  value: string
}

/** What a field holds. `lines` of a MAP; `text` of anything else, '' where it is not set. */
export interface Field {
  text: string
  lines: Line[]
  /** Of a secret: the dots of the one that it is to replace, by which it is seen that somebody else replaced it. */
  stored: string
  /** Of a secret: whether the one that is stored is to be removed. */
  isRemoved: boolean
}

const NOT_SET: Field = { text: '', lines: [], stored: '', isRemoved: false }

export type Fields = { [name: string]: Field }

export function settingsOf(shown: Json | undefined): Shown {
  return shown !== null && typeof shown === 'object' && !Array.isArray(shown) && !isDigits(shown) ? (shown as Shown) : {}
}

function isDigits(value: object): boolean {
  return 'source' in value && typeof value.source === 'string'
}

/** A form as settings are; of a secret no text, whatever its dots say. */
export function fieldsOf(settings: readonly Setting[], shown: Shown): Fields {
  return Object.fromEntries(settings.map((setting) => [setting.name, fieldOf(setting, shown[setting.name])]))
}

function fieldOf(setting: Setting, value: Json | undefined): Field {
  if (value === undefined || value === null) return NOT_SET
  if (setting.secret) return { ...NOT_SET, stored: String(value) }
  if (setting.kind === 'MAP') return { ...NOT_SET, lines: linesOf(value) }
  if (setting.kind === 'LIST' && Array.isArray(value)) return { ...NOT_SET, text: value.map(String).join('\n') }
  if (setting.kind === 'CHOICE' && typeof value === 'boolean') {
    return { ...NOT_SET, text: value ? 'always' : 'never' } // what consent rules were called before there were three
  }
  return { ...NOT_SET, text: String(value) }
}

/** The lines of a map, `*` last. A text that stands for a whole map is its `*`. */
export function linesOf(value: Json): Line[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || isDigits(value)) {
    return [{ key: '*', value: String(value) }]
  }
  const lines = Object.entries(value).map(([key, one]) => ({ key, value: String(one) }))
  return [...lines.filter((line) => line.key !== '*'), ...lines.filter((line) => line.key === '*')]
}

/** The value of a field as it is sent; null: not set. */
function valueOf(setting: Setting, field: Field): Json {
  if (setting.kind === 'MAP') {
    const lines = field.lines
      .map((line) => [line.key.trim(), line.value.trim()] as const)
      .filter(([key, value]) => key || value)
    return lines.length ? Object.fromEntries(lines) : null
  }
  const text = field.text.trim()
  if (!text) return null
  switch (setting.kind) {
    case 'FLAG':
      return text === 'true'
    case 'NUMBER':
      return /^-?\d{1,15}$/.test(text) ? Number(text) : text
    case 'LIST':
      return text.split(/[\n,]/).map((one) => one.trim()).filter(Boolean)
    default:
      return text
  }
}

/** What is to be sent of fields that were changed: settings that are not as they are stored; null removes one. */
export function changesOf(settings: readonly Setting[], stored: Fields, fields: Partial<Fields>): Shown {
  const changes: Shown = {}
  for (const setting of settings) {
    const field = fields[setting.name]
    if (!field) continue
    if (setting.secret) {
      if (field.text.trim()) changes[setting.name] = field.text.trim()
      else if (field.isRemoved && stored[setting.name]!.stored) changes[setting.name] = null
      continue
    }
    const before = valueOf(setting, stored[setting.name]!)
    const after = valueOf(setting, field)
    if (JSON.stringify(before) !== JSON.stringify(after)) changes[setting.name] = after
  }
  return changes
}

/** Fields as they are once they are stored. */
export function storedOf(settings: readonly Setting[], fields: Fields): Fields {
  return Object.fromEntries(settings.map((setting) => [setting.name, storedField(setting, fields[setting.name]!)]))
}

function storedField(setting: Setting, field: Field): Field {
  if (!setting.secret) return fieldOf(setting, valueOf(setting, field))
  const text = field.text.trim()
  if (!text) return field.isRemoved ? NOT_SET : field
  return { ...NOT_SET, stored: HIDDEN + (text.length >= SHOWS_ITS_END ? text.slice(-4) : '') }
}

/** Names of settings without which there is no destination, and which are not there. */
export function missingOf(settings: readonly Setting[], shown: Shown): Setting[] {
  return settings.filter((one) => one.required && (shown[one.name] === undefined || shown[one.name] === null))
}

/** Keys that stand twice in a map: the last one would win without a word. */
export function doubledKeys(field: Field): string[] {
  const keys = field.lines.map((line) => line.key.trim()).filter(Boolean)
  return [...new Set(keys.filter((key, index) => keys.indexOf(key) !== index))]
}

/** The name of the form in which a platform's settings are drafted. */
export function draftOf(platform: string): string {
  return `settings of ${platform}`
}

export function pathOf(platform: string): string {
  return `/destinations/${platform.toLowerCase()}`
}

/** What is to be done about a pause or a hold; the reason itself is the platform's own word. */
export function nextStep(state: string, reason: string | null, title: string): string {
  if (state === 'PAUSED') return 'Somebody paused it. Resume it when it should be sent to again.'
  const words = reason ?? ''
  if (words.startsWith('credentials refused')) {
    return `${title} does not accept the credentials. Type new ones under its settings and save: it is tried again at once.`
  }
  if (words.startsWith('TrackLayer cannot open')) {
    return 'Whoever runs TrackLayer must put back the key that sealed its settings; or type every secret anew under its settings.'
  }
  if (words.startsWith('intercepted')) {
    return `Something between TrackLayer and ${title} answers in its place, such as a proxy. Whoever runs TrackLayer must look at the network.`
  }
  return `Nothing to do: ${title} is asked again every half minute to five minutes, and what waits goes out when it answers.`
}
