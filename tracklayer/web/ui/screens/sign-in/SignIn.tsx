// The door: an API key, or the link that `tracklayer up` and `tracklayer sign-in` print.

import { useEffect, useRef, useState } from 'preact/hooks'

import { kept, signIn, whyOut } from '../../lib/session'

export function SignIn({ problem }: { problem: string | null }) {
  const [key, setKey] = useState('')
  const [told, setTold] = useState(problem)
  const [isBusy, setBusy] = useState(false)
  const box = useRef<HTMLInputElement>(null)
  useEffect(() => {
    const before = document.title
    document.title = 'Sign in · TrackLayer'
    // Behind a dialog that closes as this opens, and gives the focus back.
    const timer = setTimeout(() => box.current?.focus())
    return () => {
      clearTimeout(timer)
      document.title = before
    }
  }, [])
  useEffect(() => setTold(problem), [problem])
  return (
    <main id="content" class="sign-in" tabIndex={-1}>
      <h1>TrackLayer</h1>
      <p>See what became of every conversion.</p>
      {whyOut.value && (
        <p class="notice warn" role="status">
          {whyOut.value} {kept.value !== null && 'What you typed and did not save is still there once you are back.'}
        </p>
      )}
      <form
        autocomplete="off"
        onSubmit={async (event) => {
          event.preventDefault()
          setBusy(true)
          setTold(await signIn({ key: key.trim() }))
          setBusy(false)
          box.current?.select()
        }}
      >
        <label>
          API key
          <input
            ref={box}
            type="password"
            value={key}
            required
            autocomplete="off"
            spellcheck={false}
            placeholder="tl_…"
            onInput={(event) => setKey(event.currentTarget.value)}
            aria-describedby="sign-in-help"
          />
        </label>
        <button class="main" disabled={isBusy}>
          {isBusy ? 'Signing in …' : 'Sign in'}
        </button>
        <p role="alert" class={told ? 'notice bad' : ''}>
          {told}
        </p>
      </form>
      <p id="sign-in-help" class="quiet">
        A key with the scope READ sees everything; changes need ADMIN. No key at hand? Whoever runs TrackLayer can print a
        link with <code>tracklayer sign-in</code>.
      </p>
      <p>
        <a href="/docs">Documentation</a>
      </p>
    </main>
  )
}
