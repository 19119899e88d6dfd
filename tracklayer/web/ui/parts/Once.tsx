import './form.css'
import { useEffect, useRef } from 'preact/hooks'

import { arrivals } from '../lib/router'
import { putAway, secrets, type Secret } from '../lib/unsaved'
import { Copy } from './Action'
import { Dialog } from './Dialog'

/** The secrets that were made, one after the other: none takes another's place. */
export function Secrets() {
  const [first] = secrets.value
  return first ? <Once key={first.text} secret={first} /> : null
}

/** A secret that is shown this once and never again. */
function Once({ secret: { title, help, text } }: { secret: Secret }) {
  // Whoever leaves the screen was asked.
  const begun = useRef(arrivals.peek())
  const isLeft = arrivals.value !== begun.current
  useEffect(() => {
    if (isLeft) putAway()
  }, [isLeft])
  return (
    <Dialog title={title} close={putAway} isUnsaved asks="This is shown once, here. Close it?">
      <p class="notice warn">This is shown once. Copy it now and keep it where your secrets are.</p>
      <p class="once">
        <code>{text}</code>
      </p>
      <p>{help}</p>
      <div class="actions dialog-foot">
        <Copy text={text}>Copy it</Copy>
        <button type="button" onClick={putAway}>
          I have kept it
        </button>
      </div>
    </Dialog>
  )
}
