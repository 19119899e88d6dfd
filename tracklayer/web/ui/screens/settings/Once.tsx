import { Copy } from '../../parts/Action'
import { Dialog } from '../../parts/Dialog'

/** Before one leaves while a secret is made. */
export const ASKS = 'A secret is being made. It is shown once, here: if you leave now, nobody ever sees it. Leave?'

/** A secret that is shown this once and never again. */
export function Once({ title, secret, help, close }: { title: string; secret: string; help: string; close: () => void }) {
  return (
    <Dialog title={title} close={close} isUnsaved asks="This is shown once, here. Close it?">
      <p class="notice warn">This is shown once. Copy it now and keep it where your secrets are.</p>
      <p class="once">
        <code>{secret}</code>
      </p>
      <p>{help}</p>
      <div class="actions dialog-foot">
        <Copy text={secret}>Copy it</Copy>
        <button type="button" onClick={close}>
          I have kept it
        </button>
      </div>
    </Dialog>
  )
}
