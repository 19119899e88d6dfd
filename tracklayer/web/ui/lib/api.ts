// The public GraphQL API, as anybody's backend speaks to it; who asks is told by the session's cookie.

import { readJson } from './exact'
import { resume, session } from './session'
import { learnClock } from './time'

declare const of: unique symbol

/** The text of an operation, with the types of its result and variables. */
export type Operation<Result, Variables> = string & { [of]?: [Result, Variables] }

/** What went wrong, in the API's own words. `code` is UNREACHABLE where nobody answered. */
export class ApiError extends Error {
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

/**
 * Asks, and gives what was answered even where a part of it is refused. A question of which something was deleted while it was
 * answered is asked again. Throws ApiError where there is no answer.
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
      const isOver = !(error instanceof ApiError) || error.code !== 'CHANGED_MEANWHILE' || again === 0
      if (isOver || operation.trimStart().startsWith('mutation')) throw error
    }
  }
}

async function askOnce<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Answer<Result>> {
  const asked = Date.now()
  let response: Response
  try {
    response = await fetch('/graphql', {
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
      signal: signal ?? null,
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError('UNREACHABLE', 'TrackLayer does not answer. It is asked again in a moment.')
  }
  learnClock(response, asked)
  let answer: { data?: Result | null; errors?: GraphQLErrorShape[] }
  try {
    answer = readJson(await response.text()) as unknown as typeof answer
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError('UNREACHABLE', `TrackLayer answered ${response.status}, and nothing that can be read.`)
  }
  const errors = answer.errors ?? []
  const first = errors[0]
  if (errors.some((one) => one.extensions?.code === 'UNAUTHENTICATED')) {
    await resume()
    throw new ApiError('UNAUTHENTICATED', 'You are signed out.')
  }
  if (answer.data == null) {
    throw new ApiError(
      first?.extensions?.code ?? 'UNREACHABLE',
      first?.message ?? `TrackLayer answered ${response.status}.`,
      first?.extensions?.retryAfterSeconds ?? null,
    )
  }
  return { data: answer.data, errors }
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
