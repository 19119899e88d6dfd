// What a change was refused for, in the API's words.

import './form.css'

export interface Trouble {
  field: string[] | null
  code: string
  message: string
}

/** Of one field: its path's last part, or a part above it. */
export function troubleOf(troubles: readonly Trouble[], name: string): string[] {
  return troubles.filter((one) => one.field?.includes(name)).map((one) => one.message)
}

/** Those that are about no field that is shown. */
export function Troubles({ troubles, shown = [] }: { troubles: readonly Trouble[]; shown?: readonly string[] }) {
  const rest = troubles.filter((one) => !one.field?.some((part) => shown.includes(part)))
  if (!rest.length) return null
  return (
    <div class="notice bad" role="alert">
      {rest.map((one) => (
        <p key={one.message}>{one.message}</p>
      ))}
    </div>
  )
}
