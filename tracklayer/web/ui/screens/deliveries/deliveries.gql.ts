// Made by `make ui` from deliveries.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Narrows a list of deliveries. */
export type DeliveryFilter = {
  /** To this platform. */
  platform?: Platform | null | undefined;
  /** In one of these statuses. */
  status?: Array<DeliveryStatus> | null | undefined;
  /** Dropped for one of these reasons. */
  dropReason?: Array<DropReason> | null | undefined;
  /** Queued at this time or later. */
  queuedSince?: string | null | undefined;
  /** Queued before this time. */
  queuedUntil?: string | null | undefined;
  /** With this text in the last error, case ignored. */
  errorContains?: string | null | undefined;
  /** Of events received at this time or later: what the ledger counts by, however late a delivery was queued. */
  receivedSince?: string | null | undefined;
  /** Of events received before this time. */
  receivedUntil?: string | null | undefined;
  /** true: those that wait because their destination is paused or held now; false: all others. */
  held?: boolean | null | undefined;
  /** With exactly this code of the last refusal, as a group or an explanation has it; empty: without one. Without status: of what failed or was dropped; of what is delivered, none. */
  errorCode?: string | null | undefined;
};

/** Where a delivery stands. */
export type DeliveryStatus =
  /** Accepted and scheduled; nothing has reached the platform yet. */
  | 'QUEUED'
  /** The platform acknowledged it. */
  | 'DELIVERED'
  /** An attempt failed; it is tried again. */
  | 'FAILED'
  /** Given up: dropReason says why. */
  | 'DROPPED';

/** Whether a destination is sent to. */
export type DestinationState =
  /** Events are delivered. */
  | 'ACTIVE'
  /** Paused by the merchant: deliveries wait. */
  | 'PAUSED'
  /** Unreachable, or its credentials are refused: deliveries wait, one probe at a time goes out. */
  | 'HELD';

/** Why a delivery was given up. */
export type DropReason =
  /** Five attempts failed. */
  | 'RETRIES_EXHAUSTED'
  /** It could not be delivered within 24 hours. */
  | 'WINDOW_EXPIRED'
  /** The platform has no event for this name. */
  | 'UNSUPPORTED_EVENT'
  /** Nothing by which the platform could match a person. */
  | 'MISSING_IDENTIFIERS'
  /** A field that the platform, or your consent rule, demands is missing or wrong. */
  | 'INVALID_FIELD'
  /** The event happened longer ago than the platform takes. */
  | 'EVENT_TOO_OLD'
  /** The person refused the use of their data for ads. */
  | 'CONSENT_DENIED'
  /** Its destination was removed while it waited. */
  | 'DESTINATION_REMOVED'
  /** The person was erased while it waited. */
  | 'ERASED'
  /** The person was erased before, and is to be left alone: nothing was sent. */
  | 'SUPPRESSED';

/** Narrows a list of events. */
export type EventFilter = {
  /** This name. */
  eventName?: string | null | undefined;
  /** Event ids that begin so. */
  eventIdPrefix?: string | null | undefined;
  /** Received at this time or later. */
  receivedSince?: string | null | undefined;
  /** Received before this time. */
  receivedUntil?: string | null | undefined;
  /** Happened at this time or later. */
  occurredSince?: string | null | undefined;
  /** Happened before this time. */
  occurredUntil?: string | null | undefined;
  /** With a delivery in this status. */
  deliveryStatus?: DeliveryStatus | null | undefined;
  /** With a delivery in one of these statuses; empty: in any. Together with platform or platforms: to one of those. */
  deliveryStatuses?: Array<DeliveryStatus> | null | undefined;
  /** With a delivery to this platform. */
  platform?: Platform | null | undefined;
  /** With a delivery to one of these platforms; empty: to any. */
  platforms?: Array<Platform> | null | undefined;
  /** Not taken by the destination on this platform, because of its event names: without a delivery there, though there was a destination when the event was received. What the ledger counts as filtered. */
  filteredAt?: Platform | null | undefined;
};

/** An ad platform that events are delivered to. */
export type Platform =
  /** Meta. */
  | 'META'
  /** TikTok. */
  | 'TIKTOK'
  /** Google Ads. */
  | 'GOOGLE_ADS'
  /** Google Analytics 4. */
  | 'GA4'
  /** Pinterest. */
  | 'PINTEREST'
  /** Snapchat. */
  | 'SNAPCHAT'
  /** LinkedIn. */
  | 'LINKEDIN'
  /** Reddit. */
  | 'REDDIT'
  /** Microsoft Advertising. */
  | 'MICROSOFT_ADS'
  /** X Ads. */
  | 'X_ADS';

/** Whether a redelivery is done. */
export type RedeliveryState =
  /** Deliveries are still being looked at. */
  | 'RUNNING'
  /** All were looked at: each is queued again, or refused with a reason. */
  | 'FINISHED';

export type DeliveryGroupsQueryVariables = Exact<{
  filter?: DeliveryFilter | null | undefined;
}>;


export type DeliveryGroupsQuery = { deliveryGroups: Array<{ platform: Platform, status: DeliveryStatus, held: boolean, dropReason: DropReason | null, code: string | null, count: number, isExact: boolean, newestQueuedAt: string, oldestQueuedAt: string, exampleEventId: string, exampleError: string | null, whatToDo: string, mayRedeliver: boolean, explanation: { code: string, summary: string, field: string | null, nextStep: string, docsUrl: string | null } | null }>, merchant: { destinations: Array<{ platform: Platform, state: DestinationState, stateReason: string | null, waiting: number }> } };

export type DroppedByReasonQueryVariables = Exact<{
  since: string;
  until: string;
}>;


export type DroppedByReasonQuery = { ledger: { whole: Array<{ platform: Platform | null, dropReasons: Json }> } };

export type DeliveryRowFragment = { id: string, platform: Platform, status: DeliveryStatus, attempts: number, lastError: string | null, dropReason: DropReason | null, held: boolean, queuedAt: string, nextRetryAt: string | null, windowEndsAt: string | null, deliveredAt: string | null, latencyMs: number | null, duplicateRisk: boolean, explanation: { code: string, summary: string, nextStep: string } | null, event: { eventId: string, eventName: string } };

export type DeliveryRowsQueryVariables = Exact<{
  after?: string | null | undefined;
  filter?: DeliveryFilter | null | undefined;
}>;


export type DeliveryRowsQuery = { deliveries: { nodes: Array<{ id: string, platform: Platform, status: DeliveryStatus, attempts: number, lastError: string | null, dropReason: DropReason | null, held: boolean, queuedAt: string, nextRetryAt: string | null, windowEndsAt: string | null, deliveredAt: string | null, latencyMs: number | null, duplicateRisk: boolean, explanation: { code: string, summary: string, nextStep: string } | null, event: { eventId: string, eventName: string } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null, searchedUntil: string | null } } };

export type DeliveriesAgainQueryVariables = Exact<{
  ids: Array<string> | string;
}>;


export type DeliveriesAgainQuery = { nodes: Array<
    | { id: string, platform: Platform, status: DeliveryStatus, attempts: number, lastError: string | null, dropReason: DropReason | null, held: boolean, queuedAt: string, nextRetryAt: string | null, windowEndsAt: string | null, deliveredAt: string | null, latencyMs: number | null, duplicateRisk: boolean, explanation: { code: string, summary: string, nextStep: string } | null, event: { eventId: string, eventName: string } }
    | Record<PropertyKey, never>
   | null> };

export type RedeliverMutationVariables = Exact<{
  filter: DeliveryFilter;
  ids?: Array<string> | string | null | undefined;
  all?: boolean | null | undefined;
  dryRun?: boolean | null | undefined;
}>;


export type RedeliverMutation = { redeliver: { matched: number, requeued: number, complete: boolean, duplicateRisk: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }>, job: { id: string } | null, userErrors: Array<{ message: string }>, check: { deliveries: number, wouldSend: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }> } | null } };

export type CheckedFragment = { check: { deliveries: number, wouldSend: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }> } | null };

export type DeliverStoredMutationVariables = Exact<{
  platform: Platform;
  filter: EventFilter;
  dryRun?: boolean | null | undefined;
}>;


export type DeliverStoredMutation = { deliverStored: { matched: number, requeued: number, complete: boolean, duplicateRisk: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }>, job: { id: string } | null, userErrors: Array<{ message: string }> } };

export type OutcomeFragment = { matched: number, requeued: number, complete: boolean, duplicateRisk: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }>, job: { id: string } | null, userErrors: Array<{ message: string }> };

export type JobLineFragment = { id: string, state: RedeliveryState, ofStoredEvents: boolean, byIds: boolean, platform: Platform | null, filter: Json, requestedAt: string, finishedAt: string | null, matched: number, requeued: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }> };

export type RedeliveryJobQueryVariables = Exact<{
  id: string;
}>;


export type RedeliveryJobQuery = { node:
    | { __typename: 'Alert' }
    | { __typename: 'AlertChannel' }
    | { __typename: 'ApiKey' }
    | { __typename: 'Delivery' }
    | { __typename: 'Destination' }
    | { __typename: 'Erasure' }
    | { __typename: 'Event' }
    | { __typename: 'Merchant' }
    | { __typename: 'Redelivery', id: string, state: RedeliveryState, ofStoredEvents: boolean, byIds: boolean, platform: Platform | null, filter: Json, requestedAt: string, finishedAt: string | null, matched: number, requeued: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }> }
   | null };

export type RedeliveryJobsQueryVariables = Exact<{
  after?: string | null | undefined;
}>;


export type RedeliveryJobsQuery = { redeliveries: { nodes: Array<{ id: string, state: RedeliveryState, ofStoredEvents: boolean, byIds: boolean, platform: Platform | null, filter: Json, requestedAt: string, finishedAt: string | null, matched: number, requeued: number, refused: Array<{ reason: string, field: string | null, count: number, exampleEventId: string | null }> }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } };

export type DestinationsForStoredQueryVariables = Exact<{ [key: string]: never; }>;


export type DestinationsForStoredQuery = { merchant: { destinations: Array<{ platform: Platform, state: DestinationState, eventNames: Array<string> | null }> } };

export const DeliveryGroups = "query DeliveryGroups($filter:DeliveryFilter){deliveryGroups(filter:$filter){platform status held dropReason code count isExact newestQueuedAt oldestQueuedAt exampleEventId exampleError whatToDo mayRedeliver explanation{code summary field nextStep docsUrl}}merchant{destinations{platform state stateReason waiting}}}" as Operation<DeliveryGroupsQuery, DeliveryGroupsQueryVariables>
export const DroppedByReason = "query DroppedByReason($since:DateTime!$until:DateTime!){ledger(since:$since until:$until bucket:DAY){whole{platform dropReasons}}}" as Operation<DroppedByReasonQuery, DroppedByReasonQueryVariables>
export const DeliveryRows = "query DeliveryRows($after:String$filter:DeliveryFilter){deliveries(first:50 after:$after filter:$filter){nodes{...DeliveryRow}pageInfo{hasNextPage endCursor searchedUntil}}}fragment DeliveryRow on Delivery{id platform status attempts lastError dropReason held queuedAt nextRetryAt windowEndsAt deliveredAt latencyMs duplicateRisk explanation{code summary nextStep}event{eventId eventName}}" as Operation<DeliveryRowsQuery, DeliveryRowsQueryVariables>
export const DeliveriesAgain = "query DeliveriesAgain($ids:[ID!]!){nodes(ids:$ids){...DeliveryRow}}fragment DeliveryRow on Delivery{id platform status attempts lastError dropReason held queuedAt nextRetryAt windowEndsAt deliveredAt latencyMs duplicateRisk explanation{code summary nextStep}event{eventId eventName}}" as Operation<DeliveriesAgainQuery, DeliveriesAgainQueryVariables>
export const Redeliver = "mutation Redeliver($filter:DeliveryFilter!$ids:[ID!]$all:Boolean$dryRun:Boolean){redeliver(filter:$filter ids:$ids all:$all dryRun:$dryRun){...Outcome ...Checked}}fragment Checked on RedeliverPayload{check{deliveries wouldSend refused{reason field count exampleEventId}}}fragment Outcome on RedeliverPayload{matched requeued complete duplicateRisk refused{reason field count exampleEventId}job{id}userErrors{message}}" as Operation<RedeliverMutation, RedeliverMutationVariables>
export const DeliverStored = "mutation DeliverStored($platform:Platform!$filter:EventFilter!$dryRun:Boolean){deliverStored(platform:$platform filter:$filter dryRun:$dryRun){...Outcome}}fragment Outcome on RedeliverPayload{matched requeued complete duplicateRisk refused{reason field count exampleEventId}job{id}userErrors{message}}" as Operation<DeliverStoredMutation, DeliverStoredMutationVariables>
export const RedeliveryJob = "query RedeliveryJob($id:ID!){node(id:$id){__typename ...on Redelivery{...JobLine}}}fragment JobLine on Redelivery{id state ofStoredEvents byIds platform filter requestedAt finishedAt matched requeued refused{reason field count exampleEventId}}" as Operation<RedeliveryJobQuery, RedeliveryJobQueryVariables>
export const RedeliveryJobs = "query RedeliveryJobs($after:String){redeliveries(first:10 after:$after){nodes{...JobLine}pageInfo{hasNextPage endCursor}}}fragment JobLine on Redelivery{id state ofStoredEvents byIds platform filter requestedAt finishedAt matched requeued refused{reason field count exampleEventId}}" as Operation<RedeliveryJobsQuery, RedeliveryJobsQueryVariables>
export const DestinationsForStored = "query DestinationsForStored{merchant{destinations{platform state eventNames}}}" as Operation<DestinationsForStoredQuery, DestinationsForStoredQueryVariables>
