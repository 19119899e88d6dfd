import { count, counted } from '../../lib/format'
import type { Destination, PlatformForm } from './form'

/** What waits, as a link to exactly those rows. */
export function Pace({ destination, form }: { destination: Destination; form: PlatformForm }) {
  const { waiting } = destination
  return (
    <p>
      {waiting === 0 ? (
        'Nothing waits.'
      ) : (
        <>
          <a href={waitingHref(form.platform)}>{counted(waiting, 'delivery', 'deliveries')}</a>{' '}
          {waiting === 1 ? 'waits' : 'wait'}.
        </>
      )}
    </p>
  )
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
