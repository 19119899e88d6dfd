import { amount, count, counted } from '../../lib/format'
import { now } from '../../lib/time'
import { Badge } from '../../parts/Status'
import { MinuteTime, Time } from '../../parts/Time'
import type { Destination, PlatformForm } from './form'

const CLOSE_MS = 2 * 3600_000 // somebody should look now, not tomorrow

/** What waits, as a link to exactly those rows; since when, and until when there is time. */
export function Waiting({ destination, form }: { destination: Destination; form: PlatformForm }) {
  const { waiting, standing } = destination
  if (waiting === 0) return <>Nothing waits.</>
  const isClose = standing.deadline !== null && new Date(standing.deadline).getTime() - now.value < CLOSE_MS
  return (
    <>
      <a href={waitingHref(form.platform)}>{counted(waiting, 'delivery', 'deliveries')}</a>{' '}
      {waiting === 1 ? 'waits' : 'wait'}
      {standing.waitingSince && (
        <>
          , the oldest queued <Time at={standing.waitingSince} />
        </>
      )}
      .
      {standing.deadline && (
        <>
          {' '}
          {isClose && <Badge tone="bad">little time left</Badge>} The first is given up <Time at={standing.deadline} />
          {standing.givenUpBy === 'WINDOW'
            ? `: a delivery waits ${windowWords(destination.windowSeconds)} at most.`
            : `: ${form.title} then takes its event no more.`}
        </>
      )}
    </>
  )
}

/** How fast it goes, and when nothing will wait any more; nothing where it is quiet. */
export function Forecast({ destination }: { destination: Destination }) {
  const { waiting, standing, state } = destination
  const pace = standing.deliveredPerMinute
  if (state !== 'ACTIVE') return <>Nothing goes out while it is {state.toLowerCase()}.</>
  return (
    <>
      {pace > 0 ? `${amount(pace)} a minute` : 'None in the last minutes'}
      {waiting > 0 &&
        (standing.emptyAt ? (
          <>
            ; nothing waits any more <Time at={standing.emptyAt} /> at this pace
          </>
        ) : (
          '; what waits does not get less at this pace'
        ))}
      .
    </>
  )
}

export function LastDelivered({ at }: { at: string | null }) {
  return at ? <MinuteTime at={at} /> : <>not in the last 35 days</>
}

export function waitingHref(platform: string): string {
  return `/deliveries?platform=${platform}&status=QUEUED&status=FAILED`
}

/** In words: how what waits goes out when a pause or a hold ends. */
export function releaseWords(release: NonNullable<Destination['release']>, title: string): string {
  if (release.waiting === 0) return 'Nothing waits, so nothing goes out at once.'
  const seconds = Math.ceil(release.seconds)
  const length = seconds < 2 ? 'a second' : seconds < 120 ? `${seconds} s` : `${count(Math.ceil(seconds / 60))} min`
  const first = `${counted(release.waiting, 'delivery', 'deliveries')} ${release.waiting === 1 ? 'goes' : 'go'} out, oldest first.`
  if (release.waiting <= release.perSecond) return `${first} That takes about a second where ${title} answers at once.`
  return (
    `${first} It begins with ${count(release.perSecond)} a second, and doubles every few seconds up to ` +
    `${count(release.fullPerSecond)} a second as long as ${title} takes it: all are out after about ${length} at the earliest.`
  )
}

/** 24 hours, 90 minutes. */
export function windowWords(seconds: number): string {
  if (seconds % 3600 === 0) return counted(seconds / 3600, 'hour')
  return seconds >= 120 ? counted(Math.round(seconds / 60), 'minute') : counted(seconds, 'second')
}
