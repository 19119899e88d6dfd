// Sends a purchase to TrackLayer and reads what became of it. Needs Node.js 18 or newer, and nothing else.
//
//   API_KEY=tl_... node send-order.mjs [EVENT_ID]

const URL = `${process.env.API_URL ?? 'http://127.0.0.1:8000'}/graphql`
const API_KEY = process.env.API_KEY
const ATTEMPTS = 8
const RETRIED = [408, 429, 500, 502, 503, 504]

const SEND = `
mutation SendEvent($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome
    userErrors { field code message }
  }
}
`
const ASK = `
query EventStatus($eventId: String!) {
  event(eventId: $eventId) {
    deliveries { platform status dropReason }
  }
}
`

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/** Ends with a sentence, and without a trace of this file. */
function stop(why) {
  console.error(why)
  process.exit(1)
}
if (!process.env.API_KEY) stop('set API_KEY to an API key of yours')

/** What TrackLayer answers has data or errors: half of that, or a proxy's page, is no answer, whatever its status. */
function answerIn(text) {
  try {
    const found = JSON.parse(text)
    return found?.data || found?.errors ? found : undefined
  } catch {
    return undefined
  }
}

/** The answer's data. What may have been lost on the way is sent again, byte for byte: a repeat of an event is only counted. */
async function ask(query, variables) {
  const body = JSON.stringify({ query, variables })
  const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let wait = Math.min(2 ** attempt, 60)
    let response, text
    try {
      response = await fetch(URL, { method: 'POST', body, headers, signal: AbortSignal.timeout(30_000) })
      text = await response.text()
    } catch {
      response = undefined // nobody answered, or half an answer came: it may have been stored, so ask again
    }
    const answer = response?.ok ? answerIn(text) : undefined
    if (answer?.errors) stop(`refused: ${JSON.stringify(answer.errors)}`)
    if (answer) return answer.data
    if (response && !response.ok && !RETRIED.includes(response.status)) stop(`status ${response.status}: ${text}`)
    wait = Math.max(wait, Number(response?.headers.get('retry-after')) || 0)
    await sleep(wait + Math.random())
  }
  stop('TrackLayer does not answer: keep the event, and send it again later')
}

const event = {
  eventName: 'Purchase',
  // Your order's id: the same whenever this order is sent, so that it is counted once.
  eventId: process.argv[2] ?? `order_${Math.floor(Date.now() / 1000)}`,
  occurredAt: new Date().toISOString(),
  eventSourceUrl: 'https://shop.example.com/thank-you',
  userData: {
    email: 'jane@example.com',
    clientIp: '203.0.113.42',
    clientUserAgent: 'Mozilla/5.0',
    gaClientId: '1234567890.1713877200',
  },
  customData: { value: 129.99, currency: 'USD' },
}
const { ingestEvent: result } = await ask(SEND, { input: event })
console.log(event.eventId, result.outcome)
// Why it was rejected, or warnings beside an accepted event.
for (const { code, message } of result.userErrors) console.error(code, message)
if (result.outcome === 'REJECTED') process.exit(1)

let deliveries = []
for (let look = 0; look < 60; look++) {
  const { event: found } = await ask(ASK, { eventId: event.eventId })
  deliveries = found?.deliveries ?? []
  if (deliveries.every(({ status }) => status === 'DELIVERED' || status === 'DROPPED')) break
  await sleep(0.5)
}
for (const { platform, status, dropReason } of deliveries) console.log(platform, status, dropReason ?? '')
