// GraphiQL on this installation's API, as whoever is signed in. Nothing of a key is kept; the rest for this tab alone.
'use strict'

const FIRST = `# Ctrl-Space completes, Ctrl-Enter runs.
# The book at the left explains every field.
{
  merchant {
    name
  }
  events(first: 10) {
    nodes {
      eventId
      eventName
      receivedAt
      deliveries {
        platform
        status
      }
    }
  }
}
`

async function tellWhoIsHere() {
  const told = document.getElementById('who')
  let text = 'TrackLayer does not answer.'
  try {
    // The type says to browsers that know no better that a page of this origin asks.
    const answer = await fetch('/session', { cache: 'no-store', headers: { 'content-type': 'application/json' } })
    const session = await answer.json()
    if (answer.ok) {
      told.textContent = `${session.merchant.name} · ${session.scopes.join(', ')}`
      return
    }
    text = answer.status === 401 ? 'You are not signed in.' : session.error.message
  } catch {}
  const link = Object.assign(document.createElement('a'), { href: '/', textContent: 'Sign in' })
  told.replaceChildren(`${text} `, link)
}

const { protocol, host } = location
const fetcher = GraphiQL.createFetcher({
  url: '/graphql',
  subscriptionUrl: `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}/graphql`,
})
const options = { fetcher, defaultQuery: FIRST, shouldPersistHeaders: false, storage: sessionStorage }
ReactDOM.createRoot(document.getElementById('graphiql')).render(React.createElement(GraphiQL, options))
tellWhoIsHere()
