// What befell deliveries, the worst first: how many, what to do, and the way to exactly those rows.

import { useEffect, useState } from 'preact/hooks'

import { usePage, type Asked } from '../../lib/ask'
import { count, words } from '../../lib/format'
import { titleOf } from '../../lib/platforms'
import { withParams } from '../../lib/router'
import { Action } from '../../parts/Action'
import { Fresh } from '../../parts/List'
import { Empty, ErrorNotice, Loading } from '../../parts/Notice'
import { Section } from '../../parts/Page'
import { DeliveryMark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { DeliveryGroups, type DeliveryFilter, type DeliveryGroupsQuery } from './deliveries.gql'
import { filterOf, idOf, isEmpty, paramsOf } from './filter'

type Group = DeliveryGroupsQuery['deliveryGroups'][number] & { id: string }
type Destination = DeliveryGroupsQuery['merchant']['destinations'][number]

const AT_FIRST = 8
const EVERY_MS = 10_000

function pick(data: DeliveryGroupsQuery) {
  const nodes: Group[] = data.deliveryGroups.map((group) => ({ ...group, id: idOf(group) }))
  return { nodes, pageInfo: { hasNextPage: false, endCursor: null } }
}

export function Groups({
  filter,
  redeliver,
  turn,
}: {
  filter: DeliveryFilter
  redeliver: (filter: DeliveryFilter, about: string) => void
  /** Counts what was done, after which groups are asked for anew. */
  turn: number
}) {
  // The order of the first look stays: what grows or shrinks does so in its place.
  const page = usePage(DeliveryGroups, { filter }, pick, { every: EVERY_MS })
  const [all, setAll] = useState(false)
  useEffect(() => {
    if (turn) page.again()
  }, [turn])
  const data = (page as Asked<unknown>).data as DeliveryGroupsQuery | null
  const present = new Set(data?.deliveryGroups.map(idOf))
  const destinations = new Map(data?.merchant.destinations.map((one) => [one.platform, one]))
  const seen = all ? page.rows : page.rows.slice(0, AT_FIRST)
  const isShown = !filter.status || filter.status.some((status) => status !== 'DELIVERED')
  if (!isShown) return null
  return (
    <Section title="What needs you">
      <ErrorNotice error={page.error} again={page.again} />
      {!data && !page.error && <Loading />}
      <Fresh page={page} what="group" />
      {data && !page.rows.length && (
        <Empty title={isEmpty(filter) ? 'Nothing waits, failed or was dropped.' : 'Nothing of that waits, failed or was dropped.'}>
          {!isEmpty(filter) && <p>Clear the filters above to see the rest.</p>}
        </Empty>
      )}
      <ul class={`delivery-groups ${page.isStale ? 'stale' : ''}`} aria-busy={page.isStale}>
        {seen.map((group) => (
          <li key={group.id} class={toneOf(group)}>
            <Line
              group={group}
              isGone={!page.isStale && !present.has(group.id)}
              destination={destinations.get(group.platform)}
              href={withParams(paramsOf(group))}
              redeliver={() => redeliver(filterOf(group, filter), aboutOf(group))}
            />
          </li>
        ))}
      </ul>
      {page.rows.length > AT_FIRST && (
        <button type="button" class="plain" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Show fewer groups' : `Show all ${page.rows.length} groups`}
        </button>
      )}
    </Section>
  )
}

function toneOf(group: Group): string {
  if (group.status === 'FAILED') return 'warn'
  if (group.status !== 'DROPPED') return group.held ? 'warn' : group.code ? 'warn' : 'off'
  return group.dropReason === 'CONSENT_DENIED' ? 'off' : 'bad'
}

/** Meta, retries exhausted, 190 */
function aboutOf(group: Group): string {
  const reason = group.dropReason ? words(group.dropReason).toLowerCase() : group.status === 'FAILED' ? 'retrying' : 'queued'
  return [titleOf(group.platform), reason, ...(isOwnCode(group) ? [group.code] : [])].join(', ')
}

/** Whether the code says more than the reason does. */
function isOwnCode(group: Group): boolean {
  return group.code !== null && group.code !== group.dropReason
}

function Line({
  group,
  isGone,
  destination,
  href,
  redeliver,
}: {
  group: Group
  isGone: boolean
  destination: Destination | undefined
  href: string
  redeliver: () => void
}) {
  const waiting = group.status === 'QUEUED' && !group.isExact ? destination?.waiting : undefined
  return (
    <>
      <div class="figure">
        <a href={href}>
          <strong>{isGone ? 0 : count(group.count)}</strong>
          <span>{isGone ? 'left' : group.isExact ? (group.count === 1 ? 'delivery' : 'deliveries') : 'or more'}</span>
        </a>
        {waiting !== undefined && <span class="quiet">{count(waiting)} wait in all</span>}
      </div>
      <div class="told">
        <h3>
          {titleOf(group.platform)} <DeliveryMark status={group.status} held={group.held} />
          {group.dropReason && <span>{words(group.dropReason)}</span>}
          {isOwnCode(group) && <code>{group.code}</code>}
        </h3>
        <p>{group.whatToDo}</p>
        {group.held && destination?.stateReason && <p class="quiet">{destination.stateReason}</p>}
        {group.explanation ? (
          <p class="quiet">
            {group.explanation.summary} {group.explanation.nextStep}
            {group.explanation.field && (
              <>
                {' '}
                Field: <code>{group.explanation.field}</code>.
              </>
            )}{' '}
            {group.explanation.docsUrl && <a href={pathOf(group.explanation.docsUrl)}>More on {titleOf(group.platform)}</a>}
          </p>
        ) : null}
        {group.exampleError && (
          <p class="quiet">
            Last heard: <q>{group.exampleError}</q>
          </p>
        )}
        <p class="quiet">
          Newest <Time at={group.newestQueuedAt} />, oldest <Time at={group.oldestQueuedAt} />. Example:{' '}
          <a href={`/events/${encodeURIComponent(group.exampleEventId)}`}>{group.exampleEventId}</a>
        </p>
      </div>
      <div class="do">
        <a class="button" href={href}>
          Show them<span class="unseen">: {aboutOf(group)}</span>
        </a>
        {group.mayRedeliver && !isGone && (
          <Action scope="ADMIN" run={redeliver}>
            Redeliver …<span class="unseen">: {aboutOf(group)}</span>
          </Action>
        )}
        {group.held && <a href={`/destinations/${group.platform.toLowerCase()}`}>Destination</a>}
      </div>
    </>
  )
}

/** The page on this server, whatever its public address is. */
function pathOf(url: string): string {
  try {
    return new URL(url).pathname
  } catch {
    return '/docs'
  }
}
