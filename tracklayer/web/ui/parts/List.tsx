// What stands around a list: how many are new, and the way to the next page.

import { useEffect } from 'preact/hooks'

import { isAnswered } from '../lib/api'
import { isPaused, type Paged } from '../lib/ask'
import { counted } from '../lib/format'
import { useKeys } from '../lib/keys'
import { param, withParams } from '../lib/router'
import { Time } from './Time'

/** "12 new, show": what came is never put under the reader's eyes by itself. */
export function Fresh({ page, what = 'row' }: { page: Pick<Paged<unknown>, 'fresh' | 'show'>; what?: string }) {
  return (
    <div class="fresh" role="status">
      {page.fresh > 0 && (
        <button type="button" onClick={page.show}>
          {page.fresh >= 50 ? `50 or more new ${what}s: show` : `${counted(page.fresh, `new ${what}`)}: show`}
        </button>
      )}
    </div>
  )
}

/** To the next page and back to the newest. `by`: the parameter of the address that holds where a page begins. */
export function Pager({
  page,
  by = 'after',
  label = 'Pages',
}: {
  page: Pick<Paged<unknown>, 'rows' | 'pageInfo'>
  by?: string
  label?: string
}) {
  const isLater = param(by) !== null
  const next = page.pageInfo?.hasNextPage ? page.pageInfo.endCursor : null
  if (!isLater && !next) return null
  const until = page.pageInfo?.searchedUntil
  return (
    <nav class="pager" aria-label={label}>
      {until && (
        <span role="status">
          Looked back to <Time at={until} exact />: {page.rows.length ? 'no more of it fits' : 'none of it fits'}.
        </span>
      )}
      {isLater && (
        <a class="button" href={withParams({ [by]: null })}>
          Newest
        </a>
      )}
      {next && (
        <a class="button" href={withParams({ [by]: next })} rel="next">
          {until ? 'Look further back' : 'Older'}
        </a>
      )}
    </nav>
  )
}

/** The button that stops live updates, also by `.`; the choice holds until it is taken back, or the
 * screen is left: nobody finds a screen standing still that they did not stop. `isDeaf`: what the screen hears of as it
 * happens is not heard now. */
export function LiveSwitch({ isDeaf = false }: { isDeaf?: boolean }) {
  const isLost = isDeaf || !isAnswered.value
  useKeys([
    {
      keys: '.',
      does: 'Pause or resume live updates',
      run: () => {
        isPaused.value = !isPaused.value
      },
    },
  ])
  useEffect(() => () => void (isPaused.value = false), [])
  return (
    <button
      type="button"
      class={`live ${isPaused.value || isLost ? '' : 'on'}`}
      aria-pressed={isPaused.value}
      title={isLost ? 'The live connection is being made again (. pauses)' : 'Live updates (.)'}
      onClick={() => (isPaused.value = !isPaused.value)}
    >
      {isPaused.value ? 'Paused' : isLost ? 'Connecting …' : 'Live'}
    </button>
  )
}
