// States as a shape and a word: never by colour alone.

type Tone = 'good' | 'wait' | 'warn' | 'bad' | 'off'

const shapes: Record<Tone, string> = {
  good: 'M3 8.5 6.5 12 13 4.5',
  wait: 'M8 4v4.5l3 1.5',
  warn: 'M8 4v5M8 11.5v.5',
  bad: 'M4.5 4.5l7 7M11.5 4.5l-7 7',
  off: 'M4 8h8',
}

/** A mark with a word. `quiet`: only the mark is seen, the word is read out and in the title. */
export function Mark({ tone, word, quiet = false }: { tone: Tone; word: string; quiet?: boolean }) {
  return (
    <span class={`mark ${tone}`} title={quiet ? word : undefined}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={shapes[tone]} />
      </svg>
      <span class={quiet ? 'unseen' : ''}>{word}</span>
    </span>
  )
}

const deliveries: Record<string, [Tone, string]> = {
  QUEUED: ['wait', 'Queued'],
  DELIVERED: ['good', 'Delivered'],
  FAILED: ['warn', 'Retrying'],
  DROPPED: ['bad', 'Dropped'],
  HELD: ['off', 'Held'],
  LEFT_ALONE: ['off', 'Left alone'],
}

/** Whether the reason of a drop is that the person was erased, since or before: nobody's failure. */
export const isLeftAlone = (reason: string | null) => reason === 'ERASED' || reason === 'SUPPRESSED'

/** FAILED is shown as Retrying: it is tried again; what is given up is Dropped. */
export function DeliveryMark({
  status,
  held = false,
  reason,
  quiet = false,
}: {
  status: string
  held?: boolean
  /** Why it was dropped. */
  reason: string | null
  quiet?: boolean
}) {
  const state = held && status !== 'DELIVERED' && status !== 'DROPPED' ? 'HELD' : isLeftAlone(reason) ? 'LEFT_ALONE' : status
  const [tone, word] = deliveries[state] ?? ['off', status]
  return <Mark tone={tone} word={word} quiet={quiet} />
}

const destinations: Record<string, [Tone, string]> = {
  ACTIVE: ['good', 'Active'],
  PAUSED: ['off', 'Paused'],
  HELD: ['bad', 'Held'],
}

export function DestinationMark({ state }: { state: string }) {
  const [tone, word] = destinations[state] ?? ['off', state]
  return <Mark tone={tone} word={word} />
}

export function SeverityMark({ severity, state }: { severity: string; state: string }) {
  if (state === 'RESOLVED') return <Mark tone="good" word="Resolved" />
  return severity === 'CRITICAL' ? <Mark tone="bad" word="Critical" /> : <Mark tone="warn" word="Warning" />
}

const outcomes: Record<string, [Tone, string]> = {
  ACKNOWLEDGED: ['good', 'Acknowledged'],
  REJECTED: ['bad', 'Refused'],
  RATE_LIMITED: ['wait', 'Rate limited'],
  CREDENTIALS_REFUSED: ['bad', 'Credentials refused'],
  UNREACHABLE: ['warn', 'Not reached'],
  UNKNOWN: ['warn', 'No answer: may have been taken'],
}

export function OutcomeMark({ outcome }: { outcome: string }) {
  const [tone, word] = outcomes[outcome] ?? ['off', outcome]
  return <Mark tone={tone} word={word} />
}

/** A word in a box. */
export function Badge({ children, tone = 'off', title }: { children: preact.ComponentChildren; tone?: Tone; title?: string }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  )
}
