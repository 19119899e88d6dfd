import { say } from '../../lib/announce'
import { session, signOut } from '../../lib/session'
import { Action } from '../../parts/Action'
import { Section } from '../../parts/Page'
import type { Key } from './merchant'

/** The session that is looking: what it may do, and how it ends. */
export function Here({ keys }: { keys: Key[] }) {
  const mine = keys.find((key) => key.current)
  return (
    <Section title="This session">
      <p>
        You are signed in by the key {mine ? <b>“{mine.name}”</b> : 'that you gave'} with the scopes{' '}
        {session.value?.scopes.join(', ')}.
      </p>
      <p>To end every session of a key, elsewhere too, revoke that key above.</p>
      <Action
        run={async () => {
          const wrong = await signOut()
          if (wrong) say(wrong, { isBad: true })
        }}
      >
        Sign out here
      </Action>
    </Section>
  )
}
