// Made by `make ui` from redeliver.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
export type RedeliverTheseMutationVariables = Exact<{
  ids: Array<string> | string;
  dryRun: boolean;
}>;


export type RedeliverTheseMutation = { redeliver: { matched: number, requeued: number, complete: boolean, duplicateRisk: number, refused: Array<{ reason: string, count: number, field: string | null, exampleEventId: string | null }>, check: { deliveries: number, wouldSend: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }> } | null, userErrors: Array<{ message: string }> } };

export const RedeliverThese = "mutation RedeliverThese($ids:[ID!]!$dryRun:Boolean!){redeliver(filter:{}ids:$ids dryRun:$dryRun){matched requeued complete duplicateRisk refused{reason count field exampleEventId}check{deliveries wouldSend refused{reason field count exampleEventId}}userErrors{message}}}" as Operation<RedeliverTheseMutation, RedeliverTheseMutationVariables>
