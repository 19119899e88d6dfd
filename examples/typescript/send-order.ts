// Sends a purchase to TrackLayer and reads what became of it, typed by the schema. Needs Node.js 24 or newer, which runs it as it is.
//
//   API_KEY=tl_... node send-order.ts [EVENT_ID]

import { readFileSync } from 'node:fs'

import type {
  EventStatusQueryResult,
  EventStatusQueryVariables,
  SendEventMutationResult,
  SendEventMutationVariables,
} from './generated.ts'

const ENDPOINT = `${process.env.API_URL ?? 'http://127.0.0.1:8000'}/graphql`
const OPERATIONS = readFileSync(new URL('operations.graphql', import.meta.url), 'utf8')
const ATTEMPTS = 8
const RETRIED = [408, 429, 500, 502, 503, 504]

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/** Ends with a sentence, and without a trace of this file. */
function stop(why: string): never {
  console.error(why)
  process.exit(1)
}
if (!process.env.API_KEY) stop('set API_KEY to an API key of yours')

/** What TrackLayer answers has data or errors: half of that, or a proxy's page, is no answer, whatever its status. */
function answerIn<Result>(text: string): { data: Result; errors?: unknown } | undefined {
  try {
    const found = JSON.parse(text)
    return found?.data || found?.errors ? found : undefined
  } catch {
    return undefined
  }
}

/** The answer's data. What may have been lost on the way is sent again, byte for byte: a repeat of an event is only counted. */
async function ask<Result, Variables>(operationName: string, variables: Variables): Promise<Result> {
  const body = JSON.stringify({ query: OPERATIONS, operationName, variables })
  const headers = { authorization: `Bearer ${process.env.API_KEY}`, 'content-type': 'application/json' }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let wait = Math.min(2 ** attempt, 60)
    let response: Response | undefined
    let text = ''
    try {
      response = await fetch(ENDPOINT, { method: 'POST', body, headers, signal: AbortSignal.timeout(30_000) })
      text = await response.text()
    } catch {
      response = undefined // nobody answered, or half an answer came: it may have been stored, so ask again
    }
    const answer = response?.ok ? answerIn<Result>(text) : undefined
    if (answer?.errors) stop(`refused: ${JSON.stringify(answer.errors)}`)
    if (answer) return answer.data
    if (response && !response.ok && !RETRIED.includes(response.status)) stop(`status ${response.status}: ${text}`)
    wait = Math.max(wait, Number(response?.headers.get('retry-after')) || 0)
    await sleep(wait + Math.random())
  }
  stop('TrackLayer does not answer: keep the event, and send it again later')
}

// Your order's id: the same whenever this order is sent, so that it is counted once.
const eventId = process.argv[2] ?? `order_${Math.floor(Date.now() / 1000)}`
const { ingestEvent: result } = await ask<SendEventMutationResult, SendEventMutationVariables>('SendEvent', {
  input: {
    eventName: 'Purchase',
    eventId,
    occurredAt: new Date().toISOString(),
    eventSourceUrl: 'https://shop.example.com/thank-you',
    userData: {
      email: 'jane@example.com',
      clientIp: '203.0.113.42',
      clientUserAgent: 'Mozilla/5.0',
      gaClientId: '1234567890.1713877200',
    },
    customData: { value: 129.99, currency: 'USD' },
  },
})
console.log(eventId, result.outcome)
// Why it was rejected, or warnings beside an accepted event.
for (const { code, message } of result.userErrors) console.error(code, message)
if (result.outcome === 'REJECTED') process.exit(1)

let deliveries: NonNullable<EventStatusQueryResult['event']>['deliveries'] = []
for (let look = 0; look < 60; look++) {
  const { event } = await ask<EventStatusQueryResult, EventStatusQueryVariables>('EventStatus', { eventId })
  deliveries = event?.deliveries ?? []
  if (deliveries.every(({ status }) => status === 'DELIVERED' || status === 'DROPPED')) break
  await sleep(0.5)
}
for (const { platform, status, dropReason } of deliveries) console.log(platform, status, dropReason ?? '')
