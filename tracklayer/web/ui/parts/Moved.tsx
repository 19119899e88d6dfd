import type { Draft } from '../lib/draft'

/** Says what others changed of what is being changed here. `names`: of the fields. `words`: how a value is told. */
export function Moved<T extends object>({
  form,
  names,
  words = told,
}: {
  form: Draft<T>
  names: { [Name in keyof T]: string }
  words?: (value: unknown) => string
}) {
  const moved = Object.entries(form.moved) as [keyof T & string, unknown][]
  if (!moved.length) return null
  return (
    <div class="notice warn" role="alert">
      <p>Somebody else changed this since you began. Saving puts what you typed in its place.</p>
      <ul>
        {moved.map(([name, value]) => (
          <li key={name}>
            {names[name]}, as it is now: <b>{words(value)}</b>
          </li>
        ))}
      </ul>
      <button type="button" onClick={form.takeMoved}>
        Take what is there now
      </button>
    </div>
  )
}

function told(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return String(value ?? '').split('\n').join(', ') || 'empty'
}
