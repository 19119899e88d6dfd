// Questions of a screen: asked when their variables change, asked again while somebody looks.

import { effect, signal } from '@preact/signals'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

import { ApiError, askAll, type Operation } from './api'
import { session } from './session'
import { now } from './time'

/** Whether live updates are paused by the person, with `.` or the button. It also stops what a return to the tab would ask. */
export const isPaused = signal(false)

/** The time, in ms, that questions are about: it moves as `now` does, and stands while live updates are paused. */
export const moment = signal(now.peek())
effect(() => {
  if (!isPaused.value) moment.value = now.value
})

export interface Asked<Result> {
  /** The last answer; of the variables before, as long as `isStale`. */
  data: Result | null
  error: ApiError | null
  /** Names of fields that the key may not see, as `merchant.apiKeys`. */
  forbidden: string[]
  isStale: boolean
  /** When the answer came. */
  at: number | null
  again: () => void
}

/** The answer to an operation. `every`: asked again after so many ms, while the tab is seen and nobody paused.
 * `when`: false asks nothing. */
export function useAsk<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  { every = 0, when = true }: { every?: number; when?: boolean } = {},
): Asked<Result> {
  const wanted = JSON.stringify([operation, variables])
  const [found, setFound] = useState<{
    key: string
    data: Result | null
    error: ApiError | null
    forbidden: string[]
    at: number | null
  }>({ key: '', data: null, error: null, forbidden: [], at: null })
  const [turn, setTurn] = useState(0)
  const latest = useRef(variables)
  latest.current = variables
  const isSomebody = session.value !== null // who comes back to a screen that was kept sees it go on

  useEffect(() => {
    if (!when || !isSomebody) return
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async () => {
      let pause = every
      try {
        const { data, errors } = await askAll(operation, latest.current, controller.signal)
        const refused = errors.filter((one) => one.extensions?.code === 'FORBIDDEN')
        const other = errors.find((one) => one.extensions?.code !== 'FORBIDDEN')
        setFound({
          key: wanted,
          data,
          error: other ? new ApiError(other.extensions?.code ?? 'INTERNAL', other.message) : null,
          forbidden: refused.map((one) => (one.path ?? []).join('.')),
          at: Date.now(),
        })
      } catch (error) {
        if (controller.signal.aborted) return
        const told = error instanceof ApiError ? error : new ApiError('INTERNAL', 'This screen met a fault of its own.')
        // Who is still somebody, by a session that another tab began meanwhile, was asked for by the one before.
        const isReplaced = told.code === 'UNAUTHENTICATED' && Boolean(session.peek())
        const isRefused = (told.code === 'UNAUTHENTICATED' && !isReplaced) || told.code === 'FORBIDDEN'
        pause = told.retryAfterSeconds ? told.retryAfterSeconds * 1000 : told.code === 'UNREACHABLE' || isReplaced ? 3000 : every
        told.isAskedAgain = !isRefused && pause > 0
        setFound((before) => ({ ...before, key: wanted, error: told, data: before.key === wanted ? before.data : null }))
        if (isRefused) return
      }
      if (pause) timer = setTimeout(next, pause)
    }
    const next = () => {
      if (document.hidden || isPaused.value) timer = setTimeout(next, 500)
      else void look()
    }
    void look()
    return () => {
      controller.abort()
      clearTimeout(timer)
    }
  }, [wanted, turn, every, when, isSomebody])

  const again = useCallback(() => setTurn((one) => one + 1), [])
  return { ...found, isStale: when && found.key !== wanted, again }
}

/** `searchedUntil`: how far back a page has looked that is not full, where there is more to look at. */
export interface PageEnd {
  hasNextPage: boolean
  endCursor: string | null
  searchedUntil?: string | null
}

export interface Connection<Row> {
  nodes: Row[]
  pageInfo: PageEnd
}

export interface Paged<Row> extends Asked<unknown> {
  rows: Row[]
  pageInfo: PageEnd | null
  /** How many rows came since, which are not shown until `show` is called. */
  fresh: number
  show: () => void
}

/** The question for rows by their ids; null, or another kind of node, where one is not there. */
export interface Renewal<Row, Result> {
  operation: Operation<Result, { ids: string | string[] }>
  pick: (data: Result) => (Row | { id?: never } | null)[]
}

/** A page of a list whose rows stand still: what is new is counted, rows that are seen are renewed in place.
 * `isFirst`: whether this is the newest page, which new rows would head.
 * `renewal`: asks for rows that are seen and that the list's newest page has no more: newer ones came, or they fit its
 * filters no longer. Without it those keep what was known last. */
export function usePage<Result, Variables, Row extends { id: string }, Renewed = never>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  pick: (data: Result) => Connection<Row>,
  {
    every = 4000,
    isFirst = true,
    when = true,
    renewal,
  }: { every?: number; isFirst?: boolean; when?: boolean; renewal?: Renewal<NoInfer<Row>, Renewed> } = {},
): Paged<Row> {
  const asked = useAsk(operation, variables, { every: isFirst ? every : 0, when })
  const key = JSON.stringify([operation, variables])
  const [kept, setKept] = useState<{ key: string; ids: string[]; pageInfo: Paged<Row>['pageInfo'] }>({
    key: '',
    ids: [],
    pageInfo: null,
  })
  const memory = useRef(new Map<string, Row>())
  const current = asked.data === null ? null : pick(asked.data)
  // An empty list that fills stands still from then on, as one that had rows from the beginning.
  const isFilled = kept.ids.length === 0 && (current?.nodes.length ?? 0) > 0
  const isNew = !asked.isStale && current !== null && (kept.key !== key || isFilled)
  // Until the answer to new filters is there, the rows before stay; an empty list fills by itself.
  const ids = isNew || (kept.ids.length === 0 && current) ? (current?.nodes ?? []).map((row) => row.id) : kept.ids

  // A page of older rows is asked for once: all of it is renewed.
  const present = new Set(current?.nodes.map((row) => row.id))
  const missing = asked.isStale || isNew || !current ? [] : ids.filter((id) => !isFirst || !present.has(id))
  const renewed = useAsk(
    renewal?.operation ?? ('' as Operation<Renewed, { ids: string[] }>),
    { ids: missing },
    { every, when: when && renewal !== undefined && missing.length > 0 },
  )

  if (current && !asked.isStale) {
    if (isNew) memory.current = new Map()
    for (const row of current.nodes) memory.current.set(row.id, row)
    if (renewal && renewed.data && !renewed.isStale && missing.length)
      for (const row of renewal.pick(renewed.data)) if (row?.id) memory.current.set(row.id, row)
    const needed = new Set([...ids, ...present])
    for (const id of memory.current.keys()) if (!needed.has(id)) memory.current.delete(id)
  }
  const show = () => {
    if (current) setKept({ key, ids: current.nodes.map((row) => row.id), pageInfo: current.pageInfo })
  }
  useEffect(() => {
    if (isNew) show()
  }, [isNew])

  const seen = new Set(ids)
  const fresh = asked.isStale || !current ? 0 : current.nodes.filter((row) => !seen.has(row.id)).length
  const rows = ids.map((id) => memory.current.get(id)).filter((row): row is Row => row !== undefined)
  const pageInfo = isNew || kept.ids.length === 0 ? (current?.pageInfo ?? null) : kept.pageInfo
  // Also where the new filters found no answer: what stands here is of the filters before.
  const isStale = asked.isStale || (when && current === null && kept.key !== '' && kept.key !== key)
  return { ...asked, error: asked.error ?? renewed.error, isStale, rows, pageInfo, fresh: ids.length === 0 ? 0 : fresh, show }
}
