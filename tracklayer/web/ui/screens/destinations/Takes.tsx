import { counted } from '../../lib/format'
import { Badge } from '../../parts/Status'

const SHOWN = 6

/** Which events a destination takes; every event is said in warning tone, since it also means those that are yet to come.
 * `all`: with every name and what that means. */
export function Takes({ names, all = false }: { names: readonly string[] | null; all?: boolean }) {
  if (names === null) {
    return (
      <>
        <Badge tone="warn">Takes every event</Badge>
        {all && <span class="quiet"> of any name, also of those that you begin to send later</span>}
      </>
    )
  }
  const shown = all ? names : names.slice(0, SHOWN)
  return (
    <>
      Takes {counted(names.length, 'event name')}:{' '}
      {shown.map((name) => (
        <Badge key={name}>{name}</Badge>
      ))}
      {names.length > shown.length && <span class="quiet"> and {names.length - shown.length} more</span>}
    </>
  )
}
