import { writeJson } from '../lib/exact'
import { Copy } from './Action'

/** Text to read or copy, as it is. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <pre tabIndex={0} aria-label={label}>
        <code>{text}</code>
      </pre>
      <Copy text={text} />
    </div>
  )
}

/** JSON with its numbers exactly as the server wrote them. */
export function JsonView({ value, label }: { value: unknown; label: string }) {
  return <Code text={writeJson(value)} label={label} />
}
