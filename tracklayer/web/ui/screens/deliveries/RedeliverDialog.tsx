// Sends deliveries again: first what would happen, without doing it, then it is done.

import { useEffect, useState } from 'preact/hooks'

import { say } from '../../lib/announce'
import { ask, ApiError } from '../../lib/api'
import { useAsk } from '../../lib/ask'
import { count } from '../../lib/format'
import { factsOf, platforms, type Platform } from '../../lib/platforms'
import { go, withParams } from '../../lib/router'
import { Action } from '../../parts/Action'
import { Dialog } from '../../parts/Dialog'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Redeliver, UnansweredAmong, type DeliveryFilter, type RedeliverMutation } from './deliveries.gql'
import { inWords, isEmpty } from './filter'
import { mayHelp, redelivered, RefusedAgain, Told } from './Outcome'

export interface Wish {
  /** In a few words, for the title. */
  about: string
  filter: DeliveryFilter
  ids: string[] | null
  /** Of these ids, how many may count twice already. */
  atRisk: number
}

export function RedeliverDialog({ wish, close, done }: { wish: Wish; close: () => void; done: () => void }) {
  const [found, setFound] = useState<RedeliverMutation['redeliver'] | null>(null)
  const [error, setError] = useState<ApiError | null>(null)
  const [turn, setTurn] = useState(0)
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
    close()
    if (redeliver.job) go(withParams({ job: redeliver.job.id, of: found?.complete ? String(found.matched) : null }))
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
          {canHelp && <DuplicateRisk wish={wish} />}
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

/** Which of the newest got no answer once, and what their platform does with a copy. */
function DuplicateRisk({ wish }: { wish: Wish }) {
  const filter: DeliveryFilter = wish.filter.status ? wish.filter : { ...wish.filter, status: ['FAILED', 'DROPPED'] }
  const asked = useAsk(UnansweredAmong, { filter }, { when: wish.ids === null })
  const nodes = asked.data?.deliveries.nodes ?? []
  const unanswered = nodes.filter((one) => one.attemptLog.some((attempt) => attempt.outcome === 'UNKNOWN'))
  const where: Platform[] = wish.filter.platform
    ? [wish.filter.platform]
    : platforms.value.map((one) => one.platform).filter((one) => nodes.some((node) => node.platform === one))
  return (
    <div class="risk">
      <h3>Could something count twice?</h3>
      <ErrorNotice error={asked.error} again={asked.again} />
      {wish.ids === null && asked.data && (
        <p>
          {unanswered.length === 0
            ? `Not likely: none of the newest ${nodes.length} was ever left without an answer.`
            : `${unanswered.length} of the newest ${nodes.length} were left without an answer once: the platform may have ` +
              'those already. They go out under the same event id again.'}
        </p>
      )}
      {wish.ids !== null && (
        <p>
          {wish.atRisk === 0
            ? 'Not likely: none of them was left without an answer for longer than its platform recognises a copy.'
            : `${wish.atRisk} of them may: an attempt got no answer, and the platform does not recognise a copy that comes so late.`}
        </p>
      )}
      {(unanswered.length > 0 || where.length === 1) && where.map((platform) => (
        <p key={platform} class="quiet">
          {factsOf(platform)?.deduplication}
        </p>
      ))}
    </div>
  )
}
