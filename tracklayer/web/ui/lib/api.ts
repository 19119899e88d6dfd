// The public GraphQL API, as anybody's backend speaks to it; who asks is told by the session's cookie.

import { signal as signalOf } from '@preact/signals'

import { readJson } from './exact'
import { resume, session } from './session'
import { learnClock } from './time'
import { within } from './within'

declare const of: unique symbol

/** The text of an operation, with the types of its result and variables. */
export type Operation<Result, Variables> = string & { [of]?: [Result, Variables] }

/** Whether the last that was asked was answered. */
export const isAnswered = signalOf(true)

/** What went wrong, in the API's own words. `code` is UNREACHABLE where nobody answered. */
export class ApiError extends Error {
  /** Whether whoever asked does so again by themselves. */
  isAskedAgain = false
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message)
  }
}

interface GraphQLErrorShape {
  message: string
  path?: (string | number)[]
  extensions?: { code?: string; retryAfterSeconds?: number }
}

/** The result of an operation; what it could not tell, such as a field that the key may not see, is in `errors`. */
export interface Answer<Result> {
  data: Result
  errors: GraphQLErrorShape[]
}

const ASK_AGAIN = 3
const QUESTION_MS = 30_000
const CHANGE_MS = 120_000 // it may count or put together much; and of a change one would rather know what became of it

/**
 * Asks, and gives what was answered even where a part of it is refused. A question of which something was deleted while it was
 * answered is asked again, and so is one that was asked by a session whose place another took meanwhile. Throws ApiError where
 * there is no answer.
 */
export async function askAll<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Answer<Result>> {
  for (let again = ASK_AGAIN; ; again--) {
    try {
      return await askOnce(operation, variables, signal)
    } catch (error) {
      const code = error instanceof ApiError ? error.code : null
      const isPassing = code === 'CHANGED_MEANWHILE' || (code === 'UNAUTHENTICATED' && Boolean(session.peek()))
      if (!isPassing || again === 0 || operation.trimStart().startsWith('mutation')) throw error
    }
  }
}

async function askOnce<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Answer<Result>> {
  const isChange = operation.trimStart().startsWith('mutation')
  const isOffline = !navigator.onLine
  const asked = Date.now()
  let answer: { data?: Result | null; errors?: GraphQLErrorShape[] } | null = null
  let status: number | null = null
  try {
    answer = await within(
      isChange ? CHANGE_MS : QUESTION_MS,
      async (limit) => {
        const response = await fetch('/graphql', {
          method: 'POST',
          credentials: 'same-origin',
          cache: 'no-store',
          headers: {
            'content-type': 'application/json',
            accept: 'application/json',
            // Whose data this tab shows: an answer of, or a change at, another merchant is refused.
            ...(session.peek() ? { 'tracklayer-merchant': session.peek()!.merchant.id } : {}),
          },
          body: JSON.stringify({ query: operation, variables }),
          signal: limit,
        })
        status = response.status
        learnClock(response, asked)
        return readJson(await response.text()) as unknown as typeof answer
      },
      signal,
    )
  } catch (error) {
    if (signal?.aborted) throw error
  }
  // What is neither a result nor an error is nobody's answer but that of something on the way here.
  if (answer?.data == null && !(Array.isArray(answer?.errors) && answer.errors.length)) {
    isAnswered.value = false
    const said = status === null ? 'TrackLayer does not answer.' : `TrackLayer answered ${status}, and nothing that can be read.`
    throw new ApiError('UNREACHABLE', isChange ? `${said} ${whatBecame(variables, isOffline)}` : said)
  }
  isAnswered.value = true
  const errors = answer.errors ?? []
  const first = errors[0]
  if (errors.some((one) => one.extensions?.code === 'UNAUTHENTICATED')) {
    await resume()
    const isHere = session.peek() // by another session, which another tab began while this was on its way
    throw new ApiError('UNAUTHENTICATED', isHere ? 'You signed in anew meanwhile: nothing was changed. Try again.' : 'You are signed out.')
  }
  if (answer.data == null) {
    throw new ApiError(first!.extensions?.code ?? 'UNREACHABLE', first!.message, first!.extensions?.retryAfterSeconds ?? null)
  }
  return { data: answer.data, errors }
}

/** Of a change to which no answer came. Only what was asked without a network certainly did not get there. */
function whatBecame(variables: unknown, isOffline: boolean): string {
  if ((variables as { dryRun?: unknown }).dryRun === true) return 'Nothing was changed: try again.'
  if (isOffline) return 'This computer is offline: it was not done.'
  return 'It is not known whether it was done: look, then try again.'
}

/** Asks what stands there before it is changed. Throws as `ask` does; then it is said that nothing was changed. */
export async function look<Result, Variables>(operation: Operation<Result, Variables>, variables: Variables): Promise<Result> {
  try {
    return await ask(operation, variables)
  } catch (error) {
    if (error instanceof ApiError && error.code === 'UNREACHABLE') throw new ApiError(error.code, `${error.message} Nothing was changed: try again.`)
    throw error
  }
}

/** Asks. Throws ApiError for anything but a whole answer. */
export async function ask<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Result> {
  const { data, errors } = await askAll(operation, variables, signal)
  const first = errors[0]
  if (first) throw new ApiError(first.extensions?.code ?? 'INTERNAL', first.message)
  return data
}
