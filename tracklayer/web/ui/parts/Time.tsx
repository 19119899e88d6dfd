import { ago, exactTime, minuteTime, now, shortTime } from '../lib/time'

/** A moment: how long ago, with the exact time in its title; `exact` shows that itself. */
export function Time({ at, exact = false, short = false }: { at: string | null | undefined; exact?: boolean; short?: boolean }) {
  if (!at) return <span class="quiet">–</span>
  const full = exactTime(at)
  return (
    <time dateTime={at} title={exact ? ago(at, now.peek()) : full}>
      {exact ? full : short ? shortTime(at) : ago(at)}
    </time>
  )
}

const MINUTE = 60_000

/** A moment that is known to the minute, rounded down: no seconds are told of it. */
export function MinuteTime({ at }: { at: string }) {
  const since = now.value - Date.parse(at)
  const words = since < 2 * MINUTE ? 'just now' : since < 60 * MINUTE ? `${Math.floor(since / MINUTE)} min ago` : ago(at)
  return (
    <time dateTime={at} title={minuteTime(at)}>
      {words}
    </time>
  )
}
