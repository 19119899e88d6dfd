// Redelivery of chosen deliveries: first what would happen, then the doing.

import { useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { useAsk } from '../../lib/ask'
import { count, counted } from '../../lib/format'
import { Action } from '../../parts/Action'
import { Dialog } from '../../parts/Dialog'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { RedeliverThese, type RedeliverTheseMutation } from './redeliver.gql'

type Result = RedeliverTheseMutation['redeliver']

/** `ids`: of deliveries. Asks first what would be queued and what refused; `done` is called after it was done.
 * `refusing`: the platforms among them that are known to be sent nothing of the event today. */
export function RedeliverDialog({
  ids,
  close,
  done,
  refusing = [],
}: {
  ids: string[]
  close: () => void
  done: () => void
  refusing?: string[]
}) {
  const dry = useAsk(RedeliverThese, { ids, dryRun: true })
  const [result, setResult] = useState<Result | null>(null)
  const shown = result ?? dry.data?.redeliver ?? null
  const problem = shown?.userErrors[0]?.message

  return (
    <Dialog title="Redeliver" close={close}>
      <ErrorNotice error={dry.error} again={dry.again} />
      {!shown && !dry.error && <Loading what="Looking what would happen" />}
      {problem && <Notice tone="bad">{problem}</Notice>}
      {shown && !problem && (
        <>
          <p>
            {result ? (
              <strong>{counted(shown.requeued, 'delivery is', 'deliveries are')} queued again.</strong>
            ) : shown.requeued ? (
              <>
                <strong>{counted(shown.requeued, 'delivery', 'deliveries')}</strong> would be queued again, with five new attempts in
                the next 24 hours. The time of the event and the id by which platforms tell copies stay as they are.
              </>
            ) : (
              <strong>Nothing would be queued.</strong>
            )}
          </p>
          {!result && shown.requeued > 0 && refusing.length > 0 && (
            <Notice tone="warn">
              <p>
                {refusing.join(', ')}: today nothing would be sent there, and the delivery would be dropped again. The event's page says why;
                change the destination's settings first.
              </p>
            </Notice>
          )}
          {shown.refused.length > 0 && (
            <>
              <p>Left alone:</p>
              <ul>
                {shown.refused.map((group) => (
                  <li key={`${group.reason}/${group.field}`}>
                    {count(group.count)}: {group.reason}
                    {group.field && ` (${group.field})`}
                  </li>
                ))}
              </ul>
            </>
          )}
        </>
      )}
      <div class="actions">
        {result ? (
          <button type="button" class="main" onClick={close}>
            Close
          </button>
        ) : (
          <>
            <Action
              scope="ADMIN"
              kind="main"
              disabled={!shown?.requeued}
              run={async () => {
                const { redeliver } = await ask(RedeliverThese, { ids, dryRun: false })
                setResult(redeliver)
                if (!redeliver.userErrors.length) say(`${counted(redeliver.requeued, 'delivery is', 'deliveries are')} queued again.`)
                done()
              }}
            >
              Redeliver {shown?.requeued ? count(shown.requeued) : ''}
            </Action>
            <button type="button" onClick={close}>
              Leave it
            </button>
          </>
        )}
      </div>
    </Dialog>
  )
}
