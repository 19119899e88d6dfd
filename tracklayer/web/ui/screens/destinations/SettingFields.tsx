// The fields of a form, one for each kind of setting that a platform takes.

import type { Json } from '../../lib/exact'
import { doubledKeys, type Field, type Line, type Setting } from './form'

interface Props {
  setting: Setting
  field: Field
  /** As it is stored, as far as is known. */
  stored: Field
  errors: string[]
  eventNames: string[]
  change: (field: Field) => void
  disabled: boolean
}

export function SettingField(props: Props) {
  const { setting, field, errors } = props
  const id = `setting-${setting.name}`
  const doubled = setting.kind === 'MAP' ? doubledKeys(field) : []
  const wrong = [...errors, ...doubled.map((key) => `${key} stands twice: only the last line would count.`)]
  const describedBy = [`${id}-help`, ...(wrong.length ? [`${id}-wrong`] : [])].join(' ')
  const isGroup = setting.kind === 'MAP'
  const Label = isGroup ? 'legend' : 'label'
  const Box = isGroup ? 'fieldset' : 'div'
  return (
    <Box class="setting" data-wrong={wrong.length > 0 || undefined}>
      <Label {...(isGroup ? {} : { for: id })} class="setting-label">
        {setting.label}
        {setting.required && <span class="setting-mark"> required</span>}
        {setting.demand !== null && <span class="setting-mark"> one of several is required</span>}
      </Label>
      <Input {...props} id={id} describedBy={describedBy} isWrong={wrong.length > 0} />
      {wrong.length > 0 && (
        <p class="setting-wrong" id={`${id}-wrong`} role="alert">
          {wrong.join(' ')}
        </p>
      )}
      <p class="setting-help" id={`${id}-help`}>
        {setting.demand !== null && <>{setting.demand} </>}
        {setting.help} <code class="setting-name">{setting.name}</code>
      </p>
    </Box>
  )
}

type InputProps = Props & { id: string; describedBy: string; isWrong: boolean }

function Input({ setting, field, stored, change, disabled, id, describedBy, isWrong, eventNames }: InputProps) {
  const attributes = { id, disabled, 'aria-describedby': describedBy, 'aria-invalid': isWrong }
  const setText = (text: string) => change({ ...field, text, isRemoved: false })
  if (setting.secret) {
    return <Secret {...{ setting, field, stored, change, disabled, id, describedBy, isWrong }} />
  }
  switch (setting.kind) {
    case 'MAP':
      return <MapLines {...{ setting, field, change, disabled, id, describedBy, eventNames }} />
    case 'FLAG':
    case 'CHOICE': {
      const choices = setting.kind === 'FLAG' ? ['true', 'false'] : setting.choices
      const unknown = field.text && !choices.includes(field.text) ? [field.text] : []
      return (
        <select {...attributes} value={field.text} onChange={(event) => setText(event.currentTarget.value)}>
          {!setting.required && <option value="">not set{setting.unset && `: ${setting.unset}`}</option>}
          {[...choices, ...unknown].map((one) => (
            <option key={one} value={one}>
              {setting.kind === 'FLAG' ? (one === 'true' ? 'yes (true)' : 'no (false)') : one.replaceAll('_', ' ')}
            </option>
          ))}
        </select>
      )
    }
    case 'LIST':
      return (
        <textarea
          {...attributes}
          rows={Math.max(2, field.text.split('\n').length)}
          placeholder={`One a line, such as ${asText(setting.example)}`}
          value={field.text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )
    default:
      return (
        <input
          {...attributes}
          type="text"
          inputMode={setting.kind === 'NUMBER' ? 'numeric' : undefined}
          autocomplete="off"
          spellcheck={false}
          placeholder={setting.example === null ? '' : `such as ${asText(setting.example)}`}
          value={field.text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )
  }
}

function asText(example: Json): string {
  return Array.isArray(example) ? example.map(String).join(', ') : String(example)
}

type SecretProps = Pick<InputProps, 'setting' | 'field' | 'stored' | 'change' | 'disabled' | 'id' | 'describedBy' | 'isWrong'>

/** What is stored is shown as dots and never filled in: an empty field keeps it. */
function Secret({ setting, field, stored: { stored }, change, disabled, id, describedBy, isWrong }: SecretProps) {
  const isStored = stored !== ''
  const isLong = setting.kind === 'DOCUMENT'
  const attributes = {
    id,
    disabled,
    'aria-describedby': `${describedBy} ${id}-stored`,
    'aria-invalid': isWrong,
    autocomplete: 'new-password', // else a browser fills in the key that one signs in with
    spellcheck: false,
    value: field.text,
    placeholder: isStored && !field.isRemoved ? 'leave empty to keep it' : isLong ? 'paste the file’s text' : '',
  }
  // Emptied, it is as if nobody had touched it: it keeps what is stored now.
  const set = (text: string) => change({ ...field, text, stored: text ? field.stored : stored, isRemoved: false })
  return (
    <div class="setting-secret">
      <p class="setting-stored" id={`${id}-stored`}>
        {!isStored ? (
          'Not set.'
        ) : field.isRemoved ? (
          <>
            Will be removed when you save.{' '}
            <button type="button" class="plain" onClick={() => set('')}>
              Keep it
            </button>
          </>
        ) : (
          <>
            Stored: <code>{stored}</code>{' '}
            {!setting.required && !field.text && (
              <button
                type="button"
                class="plain"
                disabled={disabled}
                onClick={() => change({ ...field, text: '', isRemoved: true })}
              >
                Remove it
              </button>
            )}
          </>
        )}
      </p>
      {isLong ? (
        <textarea {...attributes} rows={3} onInput={(event) => set(event.currentTarget.value)} />
      ) : (
        <input {...attributes} type="password" onInput={(event) => set(event.currentTarget.value)} />
      )}
    </div>
  )
}

type MapProps = Pick<InputProps, 'setting' | 'field' | 'change' | 'disabled' | 'id' | 'describedBy' | 'eventNames'>

/** One line for each name, the line for all others last. */
function MapLines({ setting, field, change, disabled, id, describedBy, eventNames }: MapProps) {
  const { lines } = field
  const put = (next: Line[]) => change({ ...field, lines: next })
  const set = (index: number, part: Partial<Line>) =>
    put(lines.map((line, at) => (at === index ? { ...line, ...part } : line)))
  const hasOthers = lines.some((line) => line.key === '*')
  const keyLabel = setting.keyLabel ?? 'Name'
  const example = exampleOf(setting.example)
  const names = keyLabel === 'Event name' ? eventNames : []
  const add = (key: string) => {
    const star = lines.findIndex((line) => line.key === '*')
    const at = key === '*' || star < 0 ? lines.length : star
    put([...lines.slice(0, at), { key, value: '' }, ...lines.slice(at)])
    setTimeout(() => document.getElementById(`${id}-${at}-${key === '*' ? 'value' : 'key'}`)?.focus())
  }
  return (
    <div class="map" id={id} tabIndex={-1} aria-describedby={describedBy}>
      {names.length > 0 && (
        <datalist id={`${id}-names`}>
          {names.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      )}
      {lines.map((line, index) => (
        <div class="map-line" key={index}>
          {line.key === '*' ? (
            <span class="map-others">
              <code>*</code> all others
            </span>
          ) : (
            <input
              id={`${id}-${index}-key`}
              aria-label={`${keyLabel}, line ${index + 1} of ${setting.label}`}
              list={names.length ? `${id}-names` : undefined}
              autocomplete="off"
              spellcheck={false}
              placeholder={keyLabel}
              value={line.key}
              disabled={disabled}
              onInput={(event) => set(index, { key: event.currentTarget.value })}
            />
          )}
          <span aria-hidden="true" class="map-arrow">
            →
          </span>
          <input
            id={`${id}-${index}-value`}
            aria-label={line.key ? `${setting.label} of ${line.key === '*' ? 'all others' : line.key}` : `Value, line ${index + 1} of ${setting.label}`}
            autocomplete="off"
            spellcheck={false}
            placeholder={example}
            value={line.value}
            disabled={disabled}
            onInput={(event) => set(index, { value: event.currentTarget.value })}
          />
          <button
            type="button"
            class="plain"
            disabled={disabled}
            aria-label={`Remove ${line.key === '*' ? 'the line for all others' : line.key || `line ${index + 1}`}`}
            onClick={() => put(lines.filter((_, at) => at !== index))}
          >
            ×
          </button>
        </div>
      ))}
      <div class="row">
        <button type="button" disabled={disabled} onClick={() => add('')}>
          Add {/^[AEIOU]/.test(keyLabel) ? 'an' : 'a'} {keyLabel.toLowerCase()}
        </button>
        {setting.takesOthers && !hasOthers && (
          <button type="button" disabled={disabled} onClick={() => add('*')}>
            Add <code>*</code> for all others
          </button>
        )}
      </div>
    </div>
  )
}

function exampleOf(example: Json): string {
  if (example === null || typeof example !== 'object') return ''
  const first = Object.values(example)[0]
  return first === undefined ? '' : `such as ${String(first)}`
}
