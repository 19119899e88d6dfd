// Made by `make ui` from home.graphql and the schema.
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

/** How much an alert matters. */
export type AlertSeverity =
  /** Look soon. */
  | 'WARNING'
  /** Conversions are being lost or held up now. */
  | 'CRITICAL';

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

/** What ends a delivery that waits. */
export type GivenUpBy =
  /** It is tried for 24 hours. */
  | 'WINDOW'
  /** Its platform takes no event that happened longer ago. */
  | 'PLATFORM_AGE';

/** The length of a ledger row's time. */
export type LedgerBucket =
  /** A minute. */
  | 'MINUTE'
  /** An hour. */
  | 'HOUR'
  /** A day, in UTC. */
  | 'DAY';

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

export type LedgerFiguresFragment = { platform: Platform | null, eventsAccepted: number, eventsCoalesced: number, eventsRejected: number, filtered: number, routed: number, delivered: number, waiting: number, held: number, dropped: number, leftAlone: number, dropReasons: Json, purged: number, balanced: boolean, latencyP50Ms: number | null, latencyP95Ms: number | null };

export type HomeLedgerQueryVariables = Exact<{
  since: string;
  until: string;
  bucket: LedgerBucket;
  platform?: Platform | null | undefined;
}>;


export type HomeLedgerQuery = { ledger: { balanced: boolean, whole: Array<{ platform: Platform | null, eventsAccepted: number, eventsCoalesced: number, eventsRejected: number, filtered: number, routed: number, delivered: number, waiting: number, held: number, dropped: number, leftAlone: number, dropReasons: Json, purged: number, balanced: boolean, latencyP50Ms: number | null, latencyP95Ms: number | null }>, series: Array<{ bucketStart: string, eventsAccepted: number, eventsRejected: number, routed: number, delivered: number, leftAlone: number }> }, rejections: Array<{ code: string, field: string | null, eventName: string, count: number, meaning: string | null, nextStep: string | null }> };

export type HomeBeforeQueryVariables = Exact<{
  since: string;
  until: string;
  bucket: LedgerBucket;
}>;


export type HomeBeforeQuery = { ledger: { whole: Array<{ platform: Platform | null, eventsAccepted: number, eventsCoalesced: number, eventsRejected: number, filtered: number, routed: number, delivered: number, waiting: number, held: number, dropped: number, leftAlone: number, dropReasons: Json, purged: number, balanced: boolean, latencyP50Ms: number | null, latencyP95Ms: number | null }> } };

export type AdviceLineFragment = { code: AdviceCode, sentence: string, nextStep: string, exampleEventId: string | null };

export type HomeDestinationsQueryVariables = Exact<{ [key: string]: never; }>;


export type HomeDestinationsQuery = { merchant: { advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, exampleEventId: string | null }>, destinations: Array<{ platform: Platform, state: DestinationState, stateReason: string | null, waiting: number, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, exampleEventId: string | null }>, openAlerts: Array<{ id: string, title: string, severity: AlertSeverity }>, standing: { lastDeliveredAt: string | null, deliveredPerMinute: number, waitingSince: string | null, deadline: string | null, givenUpBy: GivenUpBy | null, emptyAt: string | null } }> } };

export type FirstRunQueryVariables = Exact<{ [key: string]: never; }>;


export type FirstRunQuery = { merchant: { destinations: Array<{ platform: Platform, state: DestinationState }> }, events: { nodes: Array<{ eventId: string, eventName: string, receivedAt: string, deliveries: Array<{ platform: Platform, status: DeliveryStatus }> }> }, deliveries: { nodes: Array<{ platform: Platform, deliveredAt: string | null, latencyMs: number | null, event: { eventId: string } }> } };

export type EverCountedQueryVariables = Exact<{
  since: string;
  until: string;
}>;


export type EverCountedQuery = { ledger: { whole: Array<{ platform: Platform | null, eventsAccepted: number, eventsCoalesced: number, eventsRejected: number }> } };

export const HomeLedger = "query HomeLedger($since:DateTime!$until:DateTime!$bucket:LedgerBucket!$platform:Platform){ledger(since:$since until:$until bucket:$bucket){balanced whole{...LedgerFigures}series(platform:$platform){bucketStart eventsAccepted eventsRejected routed delivered leftAlone}}rejections(since:$since until:$until){code field eventName count meaning nextStep}}fragment LedgerFigures on LedgerRow{platform eventsAccepted eventsCoalesced eventsRejected filtered routed delivered waiting held dropped leftAlone dropReasons purged balanced latencyP50Ms latencyP95Ms}" as Operation<HomeLedgerQuery, HomeLedgerQueryVariables>
export const HomeBefore = "query HomeBefore($since:DateTime!$until:DateTime!$bucket:LedgerBucket!){ledger(since:$since until:$until bucket:$bucket){whole{...LedgerFigures}}}fragment LedgerFigures on LedgerRow{platform eventsAccepted eventsCoalesced eventsRejected filtered routed delivered waiting held dropped leftAlone dropReasons purged balanced latencyP50Ms latencyP95Ms}" as Operation<HomeBeforeQuery, HomeBeforeQueryVariables>
export const HomeDestinations = "query HomeDestinations{merchant{advice{...AdviceLine}destinations{platform state stateReason waiting advice{...AdviceLine}openAlerts{id title severity}standing{lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt}}}}fragment AdviceLine on Advice{code sentence nextStep exampleEventId}" as Operation<HomeDestinationsQuery, HomeDestinationsQueryVariables>
export const FirstRun = "query FirstRun{merchant{destinations{platform state}}events(first:1){nodes{eventId eventName receivedAt deliveries{platform status}}}deliveries(first:1 filter:{status:[DELIVERED]}){nodes{platform deliveredAt latencyMs event{eventId}}}}" as Operation<FirstRunQuery, FirstRunQueryVariables>
export const EverCounted = "query EverCounted($since:DateTime!$until:DateTime!){ledger(since:$since until:$until bucket:DAY){whole{platform eventsAccepted eventsCoalesced eventsRejected}}}" as Operation<EverCountedQuery, EverCountedQueryVariables>
