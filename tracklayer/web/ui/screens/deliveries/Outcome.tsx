// What a redelivery would do, or did: how many, and why the others are left.

import { count, counted, words } from '../../lib/format'
import { eventHref } from '../../lib/links'
import { factsOf, type Platform } from '../../lib/platforms'
import { Notice } from '../../parts/Notice'
import type { CheckedFragment, OutcomeFragment } from './deliveries.gql'

type Refused = OutcomeFragment['refused']
type Check = CheckedFragment['check']
type Found = Pick<OutcomeFragment, 'requeued' | 'complete' | 'duplicateRisk'>

/** Reason, how many, one of them. */
export function RefusedList({ refused, what = 'Left as they are' }: { refused: Refused; what?: string }) {
  if (!refused.length) return null
  return (
    <div class="table" role="group" aria-label={`${what}, by reason`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{what}, because</th>
            <th scope="col" class="number">
              How many
            </th>
            <th scope="col">One of them</th>
          </tr>
        </thead>
        <tbody>
          {refused.map((one) => (
            <tr key={`${one.reason}/${one.field}`}>
              <th scope="row">
                {reasonOf(one.reason)} {one.field && <code>{one.field}</code>}
              </th>
              <td class="number">{count(one.count)}</td>
              <td>
                {one.exampleEventId ? (
                  <a class="event-id" href={eventHref(one.exampleEventId)}>
                    {one.exampleEventId}
                  </a>
                ) : (
                  '–'
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** A sentence stays as it is; the name of a DropReason becomes words. */
function reasonOf(reason: string): string {
  if (reason === 'INTERNAL') return 'TrackLayer’s own fault'
  return /^[A-Z_]+$/.test(reason) ? words(reason) : reason.charAt(0).toUpperCase() + reason.slice(1)
}

/** What would become of those that were looked at, in a sentence or two. `what`: delivery, stored event. */
export function Told({ found, what, made }: { found: OutcomeFragment; what: string; made: string }) {
  const many = what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}s`
  const left = found.matched - found.requeued
  return (
    <>
      <p class="dry-run">
        <strong>{count(found.requeued)}</strong> of {found.complete ? '' : 'the first '}
        {count(found.matched)} {found.matched === 1 ? what : many} would {made}.{' '}
        {found.matched === 0 ? 'Nothing matches.' : left > 1 ? 'The others are left as they are.' : left ? 'The other is left as it is.' : 'None is left out.'}
      </p>
      {!found.complete && (
        <p class="quiet">There are more than could be looked at in a few seconds: what is done looks at all of them.</p>
      )}
      <RefusedList refused={found.refused} />
    </>
  )
}

const dropped = (check: Check) => (check ? check.deliveries - check.wouldSend : 0)

/** Whether some of what is queued would be sent, or may be: not all of it was looked at. */
export function mayHelp(requeued: number, check: Check): boolean {
  return requeued > 0 && (!check || check.wouldSend > 0 || check.deliveries < requeued)
}

/** What of a redelivery would be dropped again before anything is sent. */
export function RefusedAgain({ requeued, check }: { requeued: number; check: Check }) {
  if (!requeued) return null
  if (!check) return <p class="quiet">What the platforms’ rules would refuse again could not be looked at.</p>
  const again = dropped(check)
  const isAll = check.deliveries >= requeued
  if (!again) return isAll ? null : <p class="quiet">Of the first {count(check.deliveries)} looked at, each would be sent.</p>
  return (
    <Notice tone="warn">
      <p>
        <strong>
          {again === requeued ? (again === 1 ? 'It' : `All ${count(again)}`) : `${count(again)} of ${isAll ? 'them' : `the first ${count(check.deliveries)} looked at`}`}{' '}
          would be dropped again at once:
        </strong>{' '}
        as the destinations are set now, nothing would be sent.
      </p>
      <RefusedList refused={check.refused} what="Dropped again" />
    </Notice>
  )
}

/** How many of what would be queued its platform may count twice; `platform`: where all go, if it is one. */
export function MayCountTwice({ found, platform }: { found: Found; platform?: Platform | null | undefined }) {
  const { duplicateRisk: atRisk, requeued, complete } = found
  const those = !complete
    ? `${count(atRisk)} of the first ${count(requeued)}`
    : atRisk < requeued
      ? `${count(atRisk)} of these ${count(requeued)}`
      : atRisk === 1
        ? 'It'
        : `All ${count(atRisk)}`
  return (
    <div class="risk">
      <h3>Could something count twice?</h3>
      <p>
        {atRisk > 0
          ? `${those} may: an attempt got no answer, and the platform does not recognise a copy that comes so late.`
          : `Not likely: none of ${complete ? 'them' : `the first ${count(requeued)}`} was left without an answer for longer than its ` +
            'platform recognises a copy.'}
      </p>
      {atRisk > 0 && (
        <p class="quiet">
          {platform ? factsOf(platform)?.deduplication : <a href="/docs/dedup">Which platform recognises what</a>}
        </p>
      )}
    </div>
  )
}

/** What a redelivery did, for whoever asked for it. */
export function redelivered(requeued: number, check: Check): [string, { isBad: boolean }] {
  const queued = `${counted(requeued, 'delivery is', 'deliveries are')} queued again`
  const again = dropped(check)
  if (!check || !again) return [`${queued}.`, { isBad: false }]
  const of = check.deliveries < requeued ? `the first ${count(check.deliveries)}` : 'these'
  const reasons = [...new Set(check.refused.map((one) => reasonOf(one.reason).toLowerCase()))].join(', ')
  return [`${queued}; ${count(again)} of ${of} ${again === 1 ? 'is' : 'are'} dropped again at once: ${reasons}.`, { isBad: true }]
}
