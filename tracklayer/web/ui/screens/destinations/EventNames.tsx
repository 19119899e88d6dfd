import { settingsOf, type PlatformForm } from './form'

/** Which events a destination takes: every one, or those that are ticked. `names` of null: every event.
 * `typed`: a name that is not added to them yet. */
export function EventNames({
  form,
  names,
  typed,
  change,
  type,
  errors,
  disabled,
}: {
  form: PlatformForm
  names: string[] | null
  typed: string
  type: (text: string) => void
  change: (names: string[] | null) => void
  errors: string[]
  disabled: boolean
}) {
  const theirs = settingsOf(form.eventNames)
  const known = Object.keys(theirs)
  const others = (names ?? []).filter((name) => !known.includes(name))
  const flip = (name: string) =>
    change(names?.includes(name) ? names.filter((one) => one !== name) : [...(names ?? []), name])
  const add = () => {
    const name = typed.trim()
    if (!name) return
    if (!names?.includes(name)) change([...(names ?? []), name])
    type('')
  }
  return (
    <fieldset class="setting" disabled={disabled} data-wrong={errors.length > 0 || undefined}>
      <legend class="setting-label">Events that it takes</legend>
      <label class="option">
        <input type="radio" name="takes" checked={names === null} onChange={() => change(null)} /> Every event
      </label>
      {names === null && (
        <p class="notice warn">
          Every event of any name is sent to {form.title}, also those that you begin to send later.
        </p>
      )}
      <label class="option">
        <input type="radio" name="takes" checked={names !== null} onChange={() => names === null && change([])} /> Only these
      </label>
      {names !== null && (
        <div class="names">
          <ul>
            {[...known, ...others].map((name) => (
              <li key={name}>
                <label>
                  <input type="checkbox" checked={names.includes(name)} onChange={() => flip(name)} /> {name}
                  {typeof theirs[name] === 'string' && theirs[name] !== name && (
                    <span class="quiet" title={`${form.title} calls it ${theirs[name]}`}>
                      {' '}
                      {theirs[name]}
                    </span>
                  )}
                </label>
              </li>
            ))}
          </ul>
          <div class="row">
            <input
              aria-label="Another event name"
              placeholder="Another event name"
              autocomplete="off"
              spellcheck={false}
              value={typed}
              onInput={(event) => type(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter') {
                  event.preventDefault()
                  add()
                }
              }}
            />
            <button type="button" disabled={!typed.trim()} onClick={add}>
              Add
            </button>
          </div>
          {names.length === 0 && !typed.trim() && (
            <p class="setting-wrong" role="alert">
              Choose one event at least. To stop for a while, pause the destination instead.
            </p>
          )}
        </div>
      )}
      {errors.length > 0 && (
        <p class="setting-wrong" role="alert">
          {errors.join(' ')}
        </p>
      )}
    </fieldset>
  )
}
