// Redelivery of chosen deliveries: first what would happen, then the doing.

import { useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask } from '../../lib/api'
import { useAsk } from '../../lib/ask'
import { count, counted } from '../../lib/format'
import { useHere } from '../../lib/here'
import { Action } from '../../parts/Action'
import { Dialog } from '../../parts/Dialog'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { MayCountTwice, mayHelp, redelivered, RefusedAgain, RefusedList } from '../deliveries/Outcome'
import { RedeliverThese, type RedeliverTheseMutation } from './redeliver.gql'

type Result = RedeliverTheseMutation['redeliver']

/** `ids`: of deliveries. Asks first what would be queued and what refused; `done` is called after it was done, and `sent` besides, unless whoever
 * asked has left the dialog by then, and may have chosen others. */
export function RedeliverDialog({
  ids,
  close,
  done,
  sent,
}: {
  ids: string[]
  close: () => void
  done: () => void
  sent?: () => void
}) {
  const isHere = useHere()
  const dry = useAsk(RedeliverThese, { ids, dryRun: true })
  const [result, setResult] = useState<Result | null>(null)
  const shown = result ?? dry.data?.redeliver ?? null
  const canHelp = shown !== null && mayHelp(shown.requeued, shown.check)
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
              <strong>{redelivered(shown.requeued, shown.check)[0]}</strong>
            ) : canHelp ? (
              <>
                <strong>{counted(shown.requeued, 'delivery', 'deliveries')}</strong> would be queued again, with five new attempts in
                the next 24 hours. The time of the event and the id by which platforms tell copies stay as they are.
              </>
            ) : (
              <strong>{shown.requeued ? 'No redelivery helps.' : 'Nothing would be queued.'}</strong>
            )}
          </p>
          {!result && <RefusedAgain requeued={shown.requeued} check={shown.check} />}
          {!result && canHelp && <MayCountTwice found={shown} />}
          <RefusedList refused={shown.refused} />
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
              disabled={!canHelp}
              run={async () => {
                const { redeliver } = await ask(RedeliverThese, { ids, dryRun: false })
                setResult(redeliver)
                if (!redeliver.userErrors.length) {
                  say(...redelivered(redeliver.requeued, redeliver.check))
                  if (isHere()) sent?.()
                }
                done()
              }}
            >
              Redeliver {canHelp ? count(shown.requeued) : ''}
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
