// What a redelivery would do, or did: how many, and why the others are left.

import { count, words } from '../../lib/format'
import { eventHref } from '../../lib/links'
import type { OutcomeFragment } from './deliveries.gql'

type Refused = OutcomeFragment['refused']

/** Reason, how many, one of them. */
export function RefusedList({ refused }: { refused: Refused }) {
  if (!refused.length) return null
  return (
    <div class="table" role="group" aria-label="Left as they are, by reason" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Left as they are, because</th>
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
              <td class="event-id">
                {one.exampleEventId ? (
                  <a href={eventHref(one.exampleEventId)}>{one.exampleEventId}</a>
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
