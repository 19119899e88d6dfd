// What a platform's rules said of an event: what is left out first, what is kept folded away.

import './form.css'
import { counted } from '../lib/format'
import { Mark } from './Status'

export interface Verdict {
  rule: string
  ok: boolean
  message: string
  field: string | null
}

export function Verdicts({ verdicts }: { verdicts: readonly Verdict[] }) {
  const kept = verdicts.filter((one) => one.ok)
  const broken = verdicts.filter((one) => !one.ok)
  if (!verdicts.length) return null
  return (
    <div class="rules">
      {broken.length > 0 && <List verdicts={broken} />}
      {kept.length > 0 && (
        <details>
          <summary>{counted(kept.length, 'rule')} kept</summary>
          <List verdicts={kept} />
        </details>
      )}
    </div>
  )
}

function List({ verdicts }: { verdicts: readonly Verdict[] }) {
  return (
    <ul>
      {verdicts.map((one, index) => (
        <li key={index}>
          <Mark tone={one.ok ? 'good' : 'warn'} word={one.ok ? 'Kept' : 'Not kept'} quiet /> {one.message}{' '}
          <code class="quiet">{one.field ?? one.rule}</code>
        </li>
      ))}
    </ul>
  )
}
