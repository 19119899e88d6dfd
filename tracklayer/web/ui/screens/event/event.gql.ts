// Made by `make ui` from event.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Where the action took place. */
export type ActionSource =
  /** On a website. */
  | 'WEBSITE'
  /** In a mobile app. */
  | 'APP'
  /** By e-mail. */
  | 'EMAIL'
  /** By phone. */
  | 'PHONE_CALL'
  /** In a chat. */
  | 'CHAT'
  /** In a shop, in person. */
  | 'PHYSICAL_STORE'
  /** By itself, such as a subscription's renewal. */
  | 'SYSTEM_GENERATED'
  /** From an ad that opens a messenger. */
  | 'BUSINESS_MESSAGING'
  /** Anywhere else. */
  | 'OTHER';

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

/** What a person said about one use of their data. */
export type ConsentState =
  /** They agreed. */
  | 'GRANTED'
  /** They refused. */
  | 'DENIED'
  /** Not asked, or not known. */
  | 'UNSPECIFIED';

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

/** Why nothing, or not more, was added to an event. */
export type EnrichmentNote =
  /** Consent was denied, with the event or in its browser. */
  | 'CONSENT_DENIED'
  /** Its browser was seen with two people of late: whose event, or whose click, it was cannot be known. */
  | 'SHARED_BROWSER'
  /** The email or phone was seen with very many browsers or events: it is a counter's or a team's. */
  | 'MAILBOX_OF_MANY'
  /** The browser was seen with very many people of late: it is a till's, or a call centre's. */
  | 'BROWSER_OF_MANY'
  /** Its browser never showed anything, or its email or phone was seen with no browser that did. */
  | 'NO_BROWSER_KNOWN'
  /** What is known is past its platform's window, too old to be sure of, or came after the event. */
  | 'OUT_OF_TIME';

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

/** How long events and their deliveries are kept. */
export type RetentionDays =
  /** 30 days. */
  | 'DAYS_30'
  /** 90 days. */
  | 'DAYS_90'
  /** 180 days. */
  | 'DAYS_180'
  /** 365 days. */
  | 'DAYS_365';

export type DeliveryStoryFragment = { id: string, platform: Platform, status: DeliveryStatus, attempts: number, lastError: string | null, dropReason: DropReason | null, held: boolean, queuedAt: string, lastAttemptAt: string | null, nextRetryAt: string | null, deliveredAt: string | null, droppedAt: string | null, latencyMs: number | null, duplicateRisk: boolean, mayRedeliver: boolean, attemptLog: Array<{ number: number, at: string, outcome: AttemptOutcome, httpStatus: number | null, error: string | null, durationMs: number, note: string | null }>, explanation: { code: string, summary: string, field: string | null, nextStep: string, docsUrl: string | null } | null };

export type OneEventQueryVariables = Exact<{
  eventId: string;
}>;


export type OneEventQuery = { event: { id: string, eventId: string, eventName: string, occurredAt: string, receivedAt: string, lastReceivedAt: string, timesReceived: number, expiresAt: string, actionSource: ActionSource, eventSourceUrl: string | null, userData: Json, customData: Json, device: Json, enrichmentNote: EnrichmentNote | null, suppressed: boolean, lastDifference: { at: string, fields: Array<string> } | null, consent: { adUserData: ConsentState, adPersonalization: ConsentState, limitedDataUse: boolean }, enrichment: Array<{ field: string, value: string, source: string, seenAt: string }>, custom: { value: Decimal | null, currency: string | null }, deliveries: Array<{ id: string, platform: Platform, status: DeliveryStatus, attempts: number, lastError: string | null, dropReason: DropReason | null, held: boolean, queuedAt: string, lastAttemptAt: string | null, nextRetryAt: string | null, deliveredAt: string | null, droppedAt: string | null, latencyMs: number | null, duplicateRisk: boolean, mayRedeliver: boolean, attemptLog: Array<{ number: number, at: string, outcome: AttemptOutcome, httpStatus: number | null, error: string | null, durationMs: number, note: string | null }>, explanation: { code: string, summary: string, field: string | null, nextStep: string, docsUrl: string | null } | null }>, alerts: Array<{ id: string, severity: AlertSeverity, state: AlertState, platform: Platform | null, title: string, openedAt: string, resolvedAt: string | null }> } | null, merchant: { retentionDays: RetentionDays, destinations: Array<{ platform: Platform, state: DestinationState, eventNames: Array<string> | null, createdAt: string }> } };

export type SentTodayQueryVariables = Exact<{
  eventId: string;
}>;


export type SentTodayQuery = { event: { deliveries: Array<{ id: string, preview: { wouldSend: boolean, request: Json | null, verdicts: Array<{ rule: string, ok: boolean, message: string, field: string | null }> } | null }> } | null };

export type EventsAlikeQueryVariables = Exact<{
  prefix: string;
}>;


export type EventsAlikeQuery = { events: { nodes: Array<{ id: string, eventId: string, eventName: string, receivedAt: string }> } };

export const OneEvent = "query OneEvent($eventId:String!){event(eventId:$eventId){id eventId eventName occurredAt receivedAt lastReceivedAt timesReceived lastDifference{at fields}expiresAt actionSource eventSourceUrl userData customData device consent{adUserData adPersonalization limitedDataUse}enrichment{field value source seenAt}enrichmentNote suppressed custom{value currency}deliveries{...DeliveryStory}alerts{id severity state platform title openedAt resolvedAt}}merchant{retentionDays destinations{platform state eventNames createdAt}}}fragment DeliveryStory on Delivery{id platform status attempts lastError dropReason held queuedAt lastAttemptAt nextRetryAt deliveredAt droppedAt latencyMs duplicateRisk mayRedeliver attemptLog{number at outcome httpStatus error durationMs note}explanation{code summary field nextStep docsUrl}}" as Operation<OneEventQuery, OneEventQueryVariables>
export const SentToday = "query SentToday($eventId:String!){event(eventId:$eventId){deliveries{id preview{wouldSend request verdicts{rule ok message field}}}}}" as Operation<SentTodayQuery, SentTodayQueryVariables>
export const EventsAlike = "query EventsAlike($prefix:String!){events(first:5 filter:{eventIdPrefix:$prefix}){nodes{id eventId eventName receivedAt}}}" as Operation<EventsAlikeQuery, EventsAlikeQueryVariables>
