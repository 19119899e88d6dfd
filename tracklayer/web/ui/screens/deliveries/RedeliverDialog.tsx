// Sends deliveries again: first what would happen, without doing it, then it is done.

import { useEffect, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, ApiError } from '../../lib/api'
import { count } from '../../lib/format'
import { useHere } from '../../lib/here'
import { go, withParams } from '../../lib/router'
import { Action } from '../../parts/Action'
import { Dialog } from '../../parts/Dialog'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Redeliver, type DeliveryFilter, type RedeliverMutation } from './deliveries.gql'
import { inWords, isEmpty } from './filter'
import { MayCountTwice, mayHelp, redelivered, RefusedAgain, Told } from './Outcome'

export interface Wish {
  /** In a few words, for the title. */
  about: string
  filter: DeliveryFilter
  ids: string[] | null
  /** Called when it was done, unless whoever asked has left the dialog by then, and may have chosen others. */
  sent?: () => void
}

export function RedeliverDialog({ wish, close, done }: { wish: Wish; close: () => void; done: () => void }) {
  const [found, setFound] = useState<RedeliverMutation['redeliver'] | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const [turn, setTurn] = useState(0)
  const isHere = useHere()
  const variables = { filter: wish.filter, ids: wish.ids, all: wish.ids === null && isEmpty(wish.filter) }

  useEffect(() => {
    const controller = new AbortController()
    setError(null)
    ask(Redeliver, { ...variables, dryRun: true }, controller.signal).then(
      ({ redeliver }) => {
        const problem = redeliver.userErrors[0]
        if (problem) setError(new ApiError('BAD_USER_INPUT', problem.message))
        else setFound(redeliver)
      },
      (fault: unknown) => {
        if (!controller.signal.aborted)
          setError(fault instanceof ApiError ? fault : new ApiError('INTERNAL', 'This screen met a fault of its own.'))
      },
    )
    return () => controller.abort()
  }, [turn])

  const send = async () => {
    const { redeliver } = await ask(Redeliver, { ...variables, dryRun: false })
    const problem = redeliver.userErrors[0]
    if (problem) {
      say(problem.message, { isBad: true })
      return
    }
    if (isHere()) {
      close()
      wish.sent?.()
      if (redeliver.job) go(withParams({ job: redeliver.job.id, of: found?.complete ? String(found.matched) : null }))
    }
    const [told, tone] = redelivered(redeliver.requeued, redeliver.check)
    say(redeliver.job ? `${told} The rest follows in the background.` : told, tone)
    done()
  }

  const canHelp = found !== null && mayHelp(found.requeued, found.check)
  return (
    <Dialog title="Redeliver" close={close}>
      <p>
        <b>{wish.about}</b>
        {wish.ids === null && !isEmpty(wish.filter) && <span class="quiet"> ({inWords({ ...wish.filter } as never).join(' · ')})</span>}
      </p>
      {variables.all && (
        <Notice tone="warn">
          <p>No filter is set: this means every failed and dropped delivery that is kept.</p>
        </Notice>
      )}
      <ErrorNotice error={error} again={() => setTurn(turn + 1)} />
      {!found && !error && <Loading what="Counting what would be queued, without doing it; this takes up to ten seconds" />}
      {found && (
        <>
          <Told found={found} what="delivery" made="be queued again" />
          <RefusedAgain requeued={found.requeued} check={found.check} />
          {canHelp && <MayCountTwice found={found} platform={wish.filter.platform} />}
          {canHelp && (
            <p class="quiet">
              Each starts a new series of five attempts and has 24 hours. Time and event id stay as they were.
              {found.requeued > 1000 && ' They are released at up to 1,000 a second, so that fresh events need not wait.'}
            </p>
          )}
        </>
      )}
      <div class="actions">
        {found && canHelp && (
          <Action scope="ADMIN" kind="main" run={send}>
            {found.complete ? `Redeliver ${count(found.requeued)}` : 'Redeliver all of them'}
          </Action>
        )}
        <button type="button" onClick={close}>
          {found && !canHelp ? 'Close' : 'Cancel'}
        </button>
      </div>
    </Dialog>
  )
}
