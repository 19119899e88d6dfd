/** A line of text with its name, what it means, and what is wrong with it. */
export function TextField({
  name,
  label,
  help,
  value,
  errors = [],
  disabled = false,
  placeholder = '',
  change,
}: {
  name: string
  label: string
  help?: string
  value: string
  errors?: string[]
  disabled?: boolean
  placeholder?: string
  change: (value: string) => void
}) {
  return (
    <div class="setting" data-wrong={errors.length > 0 || undefined}>
      <label class="setting-label" for={name}>
        {label}
      </label>
      <input
        id={name}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder}
        disabled={disabled}
        aria-describedby={help ? `${name}-help` : undefined}
        aria-invalid={errors.length > 0}
        value={value}
        onInput={(event) => change(event.currentTarget.value)}
      />
      {errors.length > 0 && (
        <p class="setting-wrong" role="alert">
          {errors.join(' ')}
        </p>
      )}
      {help && (
        <p class="setting-help" id={`${name}-help`}>
          {help}
        </p>
      )}
    </div>
  )
}
