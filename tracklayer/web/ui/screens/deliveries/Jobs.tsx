// Redeliveries in the background: one that is followed (`?job=ID`), and the recent ones, so that nothing is lost by a reload.

import { useEffect, useRef } from 'preact/hooks'

import { useAsk } from '../../lib/ask'
import { count, counted } from '../../lib/format'
import { titleOf } from '../../lib/platforms'
import { param, withParams } from '../../lib/router'
import { Pager } from '../../parts/List'
import { ErrorNotice, Loading, Notice } from '../../parts/Notice'
import { Facts, Section } from '../../parts/Page'
import { Mark } from '../../parts/Status'
import { Time } from '../../parts/Time'
import { RedeliveryJob, RedeliveryJobs, type JobLineFragment } from './deliveries.gql'
import { inWords } from './filter'
import { RefusedList } from './Outcome'

const FOLLOW_MS = 1500
const LIST_MS = 10_000

/** What a job is about: Meta · Dropped · code 190 */
function aboutOf(job: JobLineFragment): string {
  const chosen = inWords(job.filter)
  if (job.ofStoredEvents) return [`Stored events to ${job.platform ? titleOf(job.platform) : '?'}`, ...chosen].join(' · ')
  if (job.byIds) return ['Selected deliveries', ...chosen].join(' · ')
  return chosen.join(' · ') || 'All deliveries'
}

/** The job that the address names, from its beginning to its end. */
export function JobPanel({ id }: { id: string }) {
  const asked = useAsk(RedeliveryJob, { id }, { every: FOLLOW_MS })
  const job = asked.data?.node?.__typename === 'Redelivery' ? asked.data.node : null
  const of = Number(param('of'))
  const total = Number.isSafeInteger(of) && of > 0 ? of : null
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => box.current?.scrollIntoView({ block: 'nearest' }), [])
  return (
    <div ref={box}>
      <Section
        title="Redelivery"
        actions={
          <a class="button" href={withParams({ job: null, of: null })}>
            Hide
          </a>
        }
      >
        <ErrorNotice error={asked.error} again={asked.again} />
        {!asked.data && !asked.error && <Loading />}
        {asked.data && !job && (
          <Notice>
            <p>There is no such redelivery, or it finished more than 30 days ago.</p>
          </Notice>
        )}
        {job && <Progress job={job} total={total} />}
      </Section>
    </div>
  )
}

function Progress({ job, total }: { job: JobLineFragment; total: number | null }) {
  const isDone = job.state === 'FINISHED'
  const looked = job.ofStoredEvents ? counted(job.matched, 'stored event') : counted(job.matched, 'delivery', 'deliveries')
  const ofAll = total !== null && total >= job.matched && !isDone ? ` of ${count(total)}` : ''
  return (
    <>
      <p>
        <JobMark job={job} /> <b>{aboutOf(job)}</b>
      </p>
      {!isDone && (
        <progress
          aria-label="How far the redelivery is"
          {...(total !== null && total >= job.matched ? { max: total, value: job.matched } : {})}
        />
      )}
      <p role="status" aria-live="off">
        {looked}
        {ofAll} looked at, <strong>{count(job.requeued)}</strong> {job.ofStoredEvents ? 'made' : 'queued again'},{' '}
        {count(job.matched - job.requeued)} left as they are.
      </p>
      <Facts
        rows={[
          ['Asked for', <Time at={job.requestedAt} exact />],
          ['Finished', job.finishedAt ? <Time at={job.finishedAt} exact /> : isDone ? null : 'It goes on in the background; you may leave.'],
        ]}
      />
      <RefusedList refused={job.refused} />
    </>
  )
}

function JobMark({ job }: { job: JobLineFragment }) {
  return job.state === 'FINISHED' ? <Mark tone="good" word="Finished" /> : <Mark tone="wait" word="Running" />
}

/** A plain table: j and k belong to the deliveries. */
function JobTable({ jobs, isStale }: { jobs: JobLineFragment[]; isStale: boolean }) {
  return (
    <div class="table as-cards" role="group" aria-label="Redeliveries in the background" tabIndex={0} aria-busy={isStale}>
      <table class={isStale ? 'stale' : ''}>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Looked at
            </th>
            <th scope="col" class="number">
              Queued
            </th>
            <th scope="col" class="number">
              Left
            </th>
            <th scope="col">Asked for</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <tr key={job.id}>
              <td>
                <a href={withParams({ job: job.id, of: null })}>{aboutOf(job)}</a>
              </td>
              <td data-name="State">
                <JobMark job={job} />
              </td>
              <td class="number" data-name="Looked at">
                {count(job.matched)}
              </td>
              <td class="number" data-name="Queued">
                {count(job.requeued)}
              </td>
              <td class="number" data-name="Left">
                {count(job.matched - job.requeued)}
              </td>
              <td data-name="Asked for">
                <Time at={job.requestedAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** Those of the last 30 days, ten at a time. Nothing is shown where there never was one. */
export function RecentJobs({ turn }: { turn: number }) {
  const after = param('jobsAfter')
  const asked = useAsk(RedeliveryJobs, { after }, { every: LIST_MS })
  useEffect(() => {
    if (turn) asked.again()
  }, [turn])
  const found = asked.data?.redeliveries
  if (!found || (!found.nodes.length && after === null)) return <ErrorNotice error={asked.error} again={asked.again} />
  return (
    <Section title="Redeliveries in the background">
      <ErrorNotice error={asked.error} again={asked.again} />
      <JobTable jobs={found.nodes} isStale={asked.isStale} />
      <Pager page={{ rows: found.nodes, pageInfo: found.pageInfo }} by="jobsAfter" label="Pages of redeliveries" />
    </Section>
  )
}
