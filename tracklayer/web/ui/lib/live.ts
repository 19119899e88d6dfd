// Alerts as they open and resolve, over one WebSocket of this tab; behind a pause it goes on exactly where it was.

import { computed, effect, signal } from '@preact/signals'
import { createClient } from 'graphql-ws'

import { ApiError, ask } from './api'
import { LiveAlerts, OpenAlerts, type LiveAlertsSubscription, type OpenAlertsQuery } from './live.gql'
import { session } from './session'

export type OpenAlert = OpenAlertsQuery['alerts']['nodes'][number]
export type AlertChange = LiveAlertsSubscription['alerts']

/** The open alerts, newest first, as they were known last; null: not known yet. The first 100. */
export const openAlerts = signal<OpenAlert[] | null>(null)

/** Whether the last question about them failed, so that there may be others: it is asked again. */
export const isUncounted = signal(false)

/** The last change that was heard, for screens that show alerts. */
export const lastChange = signal<AlertChange | null>(null)

/** Whether changes are heard as they happen; false: the connection is lost and is being made again. */
export const isLive = signal(false)

const KEEP_MS = 15_000
const ANSWER_MS = 10_000 // a connection that says nothing for so long, though asked, is none

const AGAIN_MS = 3000
const EVERY_MS = 30_000 // for what was missed, as an alert that opens before the connection listens
let later: ReturnType<typeof setTimeout> | undefined

/** Counts what may have made a list of open alerts old while it was on its way: a change, or another session. */
let changes = 0

async function load(): Promise<void> {
  const before = changes
  try {
    const { alerts } = await ask(OpenAlerts, {})
    if (changes !== before) {
      if (session.peek()) await load()
      return
    }
    openAlerts.value = alerts.nodes
    isUncounted.value = false
    askAgain(EVERY_MS)
  } catch (error) {
    if (!session.peek()) return
    isUncounted.value = true
    if (!(error instanceof ApiError) || error.code === 'FORBIDDEN') return
    askAgain((error.retryAfterSeconds ?? 0) * 1000 || AGAIN_MS)
  }
}

function askAgain(pause: number): void {
  clearTimeout(later)
  later = setTimeout(() => (document.hidden ? askAgain(AGAIN_MS) : void load()), pause)
}

function hear(change: AlertChange): void {
  changes += 1
  const others = openAlerts.value?.filter((one) => one.id !== change.id)
  // One alone would not say how many there are: what is on its way begins anew, and what failed is asked again.
  if (others) openAlerts.value = change.state === 'OPEN' ? [change, ...others] : others
  lastChange.value = change
}

const merchant = computed(() => session.value?.merchant.id ?? null)

/** Follows alerts while somebody is signed in. */
export function followAlerts(): void {
  effect(() => {
    changes += 1
    isUncounted.value = false
    if (merchant.value === null) {
      openAlerts.value = null
      return
    }
    let last: string | null = null
    let isOver = false
    let patience: ReturnType<typeof setTimeout> | undefined
    const expect = () => {
      clearTimeout(patience)
      patience = setTimeout(() => client.terminate(), ANSWER_MS)
    }
    const client = createClient({
      url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql`,
      retryAttempts: Number.MAX_SAFE_INTEGER,
      retryWait: async (tries) =>
        new Promise((resolve) => setTimeout(resolve, Math.min(30_000, 500 * 2 ** tries) * (0.5 + Math.random() / 2))),
      shouldRetry: () => !isOver,
      keepAlive: KEEP_MS,
      on: {
        connecting: expect,
        connected: () => {
          clearTimeout(patience)
          isLive.value = true
          void load()
        },
        ping: (isTheirs) => {
          if (!isTheirs) expect()
        },
        pong: () => clearTimeout(patience),
        closed: () => {
          clearTimeout(patience)
          isLive.value = false
          if (!isOver) void load() // finds out whether anybody answers
        },
      },
    })
    const follow = async () => {
      while (!isOver) {
        try {
          const stream = client.iterate<LiveAlertsSubscription>({ query: LiveAlerts, variables: { after: last } })
          for await (const { data } of stream) {
            if (!data) break
            last = data.alerts.change ?? last
            hear(data.alerts)
          }
        } catch {
          // Told by `isLive`; it is tried again below.
        }
        await new Promise((resolve) => setTimeout(resolve, 2000))
      }
    }
    void load()
    void follow()
    return () => {
      isOver = true
      clearTimeout(later)
      clearTimeout(patience)
      // A connection that is just being made may end with a refusal, which is nobody's concern any more.
      Promise.resolve(client.dispose()).catch(() => {})
    }
  })
}
