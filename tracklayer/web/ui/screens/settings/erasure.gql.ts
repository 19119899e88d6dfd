// Made by `make ui` from erasure.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Who is meant: whoever fits any of these. At least one is needed. */
export type ErasePersonInput = {
  /** Plain, or SHA-256 of its usual form. */
  email?: string | null | undefined;
  /** With its country code, or SHA-256 of its digits. */
  phone?: string | null | undefined;
  /** As it was sent, or SHA-256 of it. */
  externalId?: string | null | undefined;
  /** As it was sent. */
  browserId?: string | null | undefined;
  /** Events by their eventIds: at most 1,000. */
  eventIds?: Array<string> | null | undefined;
};

/** Whether an erasure is done. */
export type ErasureState =
  /** Events are still being looked at, or waited for. */
  | 'RUNNING'
  /** All that is the person's is gone, and there is a receipt. */
  | 'FINISHED'
  /** The operator gave up the secret key that it was sealed with, so nobody can tell whom it meant: ask for it again. */
  | 'GIVEN_UP';

export type ErasedFragment = { id: string, state: ErasureState, failingSince: string | null, eventsErased: number, deliveriesErased: number, identitiesErased: number, eventsScanned: number, requestedAt: string, finishedAt: string | null, suppressed: boolean, receipt: string | null };

export type ErasuresQueryVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ErasuresQuery = { merchant: { id: string, erasures: { nodes: Array<{ id: string, state: ErasureState, failingSince: string | null, eventsErased: number, deliveriesErased: number, identitiesErased: number, eventsScanned: number, requestedAt: string, finishedAt: string | null, suppressed: boolean, receipt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } } };

export type ErasePersonMutationVariables = Exact<{
  input: ErasePersonInput;
  suppress: boolean;
  dryRun: boolean;
}>;


export type ErasePersonMutation = { erasePerson: { eventsErased: number, deliveriesErased: number, identitiesErased: number, sharedIdentities: number, eventsUncertain: number, uncertainEventIds: Array<string>, differentEmails: number, differentPhones: number, differentExternalIds: number, complete: boolean, wasThereBefore: boolean, erasure: { id: string, state: ErasureState, failingSince: string | null, eventsErased: number, deliveriesErased: number, identitiesErased: number, eventsScanned: number, requestedAt: string, finishedAt: string | null, suppressed: boolean, receipt: string | null } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type UnsuppressPersonMutationVariables = Exact<{
  input: ErasePersonInput;
}>;


export type UnsuppressPersonMutation = { unsuppressPerson: { lifted: boolean, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type ExportPersonMutationVariables = Exact<{
  input: ErasePersonInput;
}>;


export type ExportPersonMutation = { exportPerson: { events: number, browsers: number, eventsUncertain: number, complete: boolean, json: string | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export const Erasures = "query Erasures($after:String){merchant{id erasures(first:10 after:$after){nodes{...Erased}pageInfo{hasNextPage endCursor}}}}fragment Erased on Erasure{id state failingSince eventsErased deliveriesErased identitiesErased eventsScanned requestedAt finishedAt suppressed receipt}" as Operation<ErasuresQuery, ErasuresQueryVariables>
export const ErasePerson = "mutation ErasePerson($input:ErasePersonInput!$suppress:Boolean!$dryRun:Boolean!){erasePerson(input:$input suppress:$suppress dryRun:$dryRun){eventsErased deliveriesErased identitiesErased sharedIdentities eventsUncertain uncertainEventIds differentEmails differentPhones differentExternalIds complete wasThereBefore erasure{...Erased}userErrors{field code message}}}fragment Erased on Erasure{id state failingSince eventsErased deliveriesErased identitiesErased eventsScanned requestedAt finishedAt suppressed receipt}" as Operation<ErasePersonMutation, ErasePersonMutationVariables>
export const UnsuppressPerson = "mutation UnsuppressPerson($input:ErasePersonInput!){unsuppressPerson(input:$input){lifted userErrors{field code message}}}" as Operation<UnsuppressPersonMutation, UnsuppressPersonMutationVariables>
export const ExportPerson = "mutation ExportPerson($input:ErasePersonInput!){exportPerson(input:$input){events browsers eventsUncertain complete json userErrors{field code message}}}" as Operation<ExportPersonMutation, ExportPersonMutationVariables>
