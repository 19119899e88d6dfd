import type { Json } from '../../lib/exact'
import { JsonView } from '../../parts/Code'
import { settingsOf } from './form'

/** A request as it goes out, without credentials. */
export function Sent({ request, label }: { request: Json; label: string }) {
  const { method, url, headers, body } = settingsOf(request)
  if (url === undefined) return <JsonView value={request} label={label} />
  return (
    <div class="sent">
      <p>
        <code>
          {String(method ?? 'POST')} {String(url)}
        </code>
      </p>
      <JsonView value={body ?? null} label={label} />
      {headers !== undefined && (
        <details>
          <summary>Headers</summary>
          <JsonView value={headers} label="Headers" />
        </details>
      )}
    </div>
  )
}
