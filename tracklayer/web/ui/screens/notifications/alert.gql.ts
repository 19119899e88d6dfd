// Made by `make ui` from alert.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** What is about to cost conversions. */
export type AdviceCode =
  /** A destination has been in test mode for more than a day. */
  | 'TEST_MODE_ON'
  /** A destination's credentials end soon. */
  | 'CREDENTIALS_EXPIRE_SOON'
  /** Events arrive under a name that differs only in spelling from one that counts. */
  | 'NAME_MISSPELT'
  /** Events arrive when they are older than the platform takes. */
  | 'EVENTS_TOO_OLD'
  /** Events say that they happen in the future: the shop's clock is ahead. */
  | 'CLOCK_AHEAD'
  /** Events arrive days after they happened. */
  | 'EVENTS_LATE'
  /** Purchases all have the value 0. */
  | 'VALUE_ALWAYS_ZERO'
  /** Purchases bring no value. */
  | 'VALUE_MISSING'
  /** Purchases bring a value without a currency, and there is no default. */
  | 'CURRENCY_MISSING'
  /** Events come from a source, such as an app, that the destination is not set up for. */
  | 'SOURCE_NOT_TAKEN'
  /** Most events repeat an event id that was sent before, and are counted once. */
  | 'EVENT_IDS_REUSED'
  /** A platform says something of many events that it takes, such as that it took requests only in part. */
  | 'TAKEN_WITH_NOTES'
  /** A destination gets nothing, as its event names are none that events come with. */
  | 'FILTER_TAKES_NOTHING'
  /** A destination was removed while deliveries waited for it: they were dropped. */
  | 'DROPPED_BY_REMOVAL'
  /** An alert is open, and nobody is told of it. */
  | 'ALERTS_UNTOLD';

/** What the values of an alert's chart are. */
export type AlertChartUnit =
  /** Shares, 0 to 1. */
  | 'SHARE'
  /** Events of each step. */
  | 'EVENTS'
  /** Deliveries of each step. */
  | 'DELIVERIES';

/** What an alert is about. */
export type AlertKind =
  /** A platform consistently refuses requests or does not answer. */
  | 'PLATFORM_DOWN'
  /** Events arrive faster than they are delivered. */
  | 'QUEUE_BACKLOG'
  /** A merchant that usually sends events has gone quiet. */
  | 'TRACKING_STOPPED'
  /** The success rate fell below what is normal. */
  | 'DELIVERY_RATE_DROP'
  /** Markedly more events than usual are refused at the door. */
  | 'EVENTS_REJECTED'
  /** Events of one name lost identifiers that they used to carry. */
  | 'MATCH_QUALITY_DROP'
  /** The same conversion seems to arrive under several event ids. */
  | 'LIKELY_DUPLICATES'
  /** Events of one name lost their value or currency. */
  | 'VALUE_LOST'
  /** A destination filters out a name that differs only in spelling from one it takes. */
  | 'EVENT_NAME_UNKNOWN';

/** What a line is among those of an alert's chart. */
export type AlertSeriesRole =
  /** What was seen. */
  | 'SEEN'
  /** What is normal, as it was learned. */
  | 'NORMAL'
  /** What it is to be held against: what came in, or another name. */
  | 'COMPARED';

/** How much an alert matters. */
export type AlertSeverity =
  /** Look soon. */
  | 'WARNING'
  /** Conversions are being lost or held up now. */
  | 'CRITICAL';

/** Whether an alert still holds. */
export type AlertState =
  /** It still holds. */
  | 'OPEN'
  /** It is over. */
  | 'RESOLVED';

/** How one attempt ended. */
export type AttemptOutcome =
  /** The platform took it. */
  | 'ACKNOWLEDGED'
  /** The platform refused this event. */
  | 'REJECTED'
  /** Too many requests: waited out, costs no attempt. */
  | 'RATE_LIMITED'
  /** The platform refused the destination's credentials. */
  | 'CREDENTIALS_REFUSED'
  /** Nobody answered, or only with a server error. */
  | 'UNREACHABLE'
  /** Sent, and no answer was read: the platform may have taken it. */
  | 'UNKNOWN';

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

export type AlertByIdQueryVariables = Exact<{
  id: string;
}>;


export type AlertByIdQuery = { node:
    | { __typename: 'Alert', id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, message: string, details: Json, openedAt: string, lastSeenAt: string, acknowledgedAt: string | null, note: string | null, snoozedUntil: string | null, resolvedAt: string | null }
    | { __typename: 'AlertChannel' }
    | { __typename: 'ApiKey' }
    | { __typename: 'Delivery' }
    | { __typename: 'Destination' }
    | { __typename: 'Erasure' }
    | { __typename: 'Event' }
    | { __typename: 'Merchant' }
    | { __typename: 'Redelivery' }
   | null };

export type ChartOfAlertQueryVariables = Exact<{
  id: string;
}>;


export type ChartOfAlertQuery = { alertChart: { title: string, unit: AlertChartUnit, since: string, stepSeconds: number, times: Array<string>, counts: Array<number> | null, series: Array<{ role: AlertSeriesRole, label: string, values: Array<number | null> }> } | null };

export type DeliveryMeanwhileFragment = { id: string, platform: Platform, status: DeliveryStatus, dropReason: DropReason | null, held: boolean, queuedAt: string, attempts: number, lastError: string | null, event: { eventId: string, eventName: string } };

export type DeliveriesMeanwhileAgainQueryVariables = Exact<{
  ids: Array<string> | string;
}>;


export type DeliveriesMeanwhileAgainQuery = { nodes: Array<
    | { id: string, platform: Platform, status: DeliveryStatus, dropReason: DropReason | null, held: boolean, queuedAt: string, attempts: number, lastError: string | null, event: { eventId: string, eventName: string } }
    | Record<PropertyKey, never>
   | null> };

export type DeliveriesOfAlertQueryVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type DeliveriesOfAlertQuery = { node:
    | { __typename: 'Alert', id: string, deliveries: { nodes: Array<{ id: string, platform: Platform, status: DeliveryStatus, dropReason: DropReason | null, held: boolean, queuedAt: string, attempts: number, lastError: string | null, event: { eventId: string, eventName: string } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } }
    | { __typename: 'AlertChannel' }
    | { __typename: 'ApiKey' }
    | { __typename: 'Delivery' }
    | { __typename: 'Destination' }
    | { __typename: 'Erasure' }
    | { __typename: 'Event' }
    | { __typename: 'Merchant' }
    | { __typename: 'Redelivery' }
   | null };

export type AdviceLineFragment = { code: AdviceCode, sentence: string, nextStep: string, since: string, eventName: string | null };

export type AdviceNowQueryVariables = Exact<{ [key: string]: never; }>;


export type AdviceNowQuery = { merchant: { advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, eventName: string | null }>, destinations: Array<{ platform: Platform, state: DestinationState, stateReason: string | null, waiting: number, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, eventName: string | null }> }> } };

export type AcknowledgeAlertMutationVariables = Exact<{
  id: string;
  note?: string | null | undefined;
}>;


export type AcknowledgeAlertMutation = { acknowledgeAlert: { alert: { id: string, acknowledgedAt: string | null } | null, userErrors: Array<{ message: string }> } };

export type SnoozeAlertMutationVariables = Exact<{
  id: string;
  until?: string | null | undefined;
}>;


export type SnoozeAlertMutation = { snoozeAlert: { alert: { id: string, snoozedUntil: string | null } | null, userErrors: Array<{ message: string }> } };

export type TryDestinationMutationVariables = Exact<{
  platform: Platform;
}>;


export type TryDestinationMutation = { testDestination: { attempt: { outcome: AttemptOutcome, httpStatus: number | null, error: string | null, durationMs: number, note: string | null } | null, explanation: { summary: string, nextStep: string, field: string | null, docsUrl: string | null } | null, verdicts: Array<{ rule: string, ok: boolean, message: string, field: string | null }>, userErrors: Array<{ message: string }> } };

export const AlertById = "query AlertById($id:ID!){node(id:$id){__typename ...on Alert{id kind severity state platform eventName title message details openedAt lastSeenAt acknowledgedAt note snoozedUntil resolvedAt}}}" as Operation<AlertByIdQuery, AlertByIdQueryVariables>
export const ChartOfAlert = "query ChartOfAlert($id:ID!){alertChart(id:$id){title unit since stepSeconds times counts series{role label values}}}" as Operation<ChartOfAlertQuery, ChartOfAlertQueryVariables>
export const DeliveriesMeanwhileAgain = "query DeliveriesMeanwhileAgain($ids:[ID!]!){nodes(ids:$ids){...DeliveryMeanwhile}}fragment DeliveryMeanwhile on Delivery{id platform status dropReason held queuedAt attempts lastError event{eventId eventName}}" as Operation<DeliveriesMeanwhileAgainQuery, DeliveriesMeanwhileAgainQueryVariables>
export const DeliveriesOfAlert = "query DeliveriesOfAlert($id:ID!$after:String){node(id:$id){__typename ...on Alert{id deliveries(first:50 after:$after){nodes{...DeliveryMeanwhile}pageInfo{hasNextPage endCursor}}}}}fragment DeliveryMeanwhile on Delivery{id platform status dropReason held queuedAt attempts lastError event{eventId eventName}}" as Operation<DeliveriesOfAlertQuery, DeliveriesOfAlertQueryVariables>
export const AdviceNow = "query AdviceNow{merchant{advice{...AdviceLine}destinations{platform state stateReason waiting advice{...AdviceLine}}}}fragment AdviceLine on Advice{code sentence nextStep since eventName}" as Operation<AdviceNowQuery, AdviceNowQueryVariables>
export const AcknowledgeAlert = "mutation AcknowledgeAlert($id:ID!$note:String){acknowledgeAlert(id:$id note:$note){alert{id acknowledgedAt}userErrors{message}}}" as Operation<AcknowledgeAlertMutation, AcknowledgeAlertMutationVariables>
export const SnoozeAlert = "mutation SnoozeAlert($id:ID!$until:DateTime){snoozeAlert(id:$id until:$until){alert{id snoozedUntil}userErrors{message}}}" as Operation<SnoozeAlertMutation, SnoozeAlertMutationVariables>
export const TryDestination = "mutation TryDestination($platform:Platform!){testDestination(platform:$platform){attempt{outcome httpStatus error durationMs note}explanation{summary nextStep field docsUrl}verdicts{rule ok message field}userErrors{message}}}" as Operation<TryDestinationMutation, TryDestinationMutationVariables>
