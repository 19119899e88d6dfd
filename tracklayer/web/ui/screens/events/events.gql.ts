// Made by `make ui` from events.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
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

export type EventLineFragment = { id: string, eventId: string, eventName: string, receivedAt: string, timesReceived: number, identifiers: Array<string>, custom: { value: Decimal | null, currency: string | null }, deliveries: Array<{ id: string, platform: Platform, status: DeliveryStatus, dropReason: DropReason | null, held: boolean }> };

export type EventListQueryVariables = Exact<{
  first?: number | null | undefined;
  after?: string | null | undefined;
  filter?: EventFilter | null | undefined;
}>;


export type EventListQuery = { events: { nodes: Array<{ id: string, eventId: string, eventName: string, receivedAt: string, timesReceived: number, identifiers: Array<string>, custom: { value: Decimal | null, currency: string | null }, deliveries: Array<{ id: string, platform: Platform, status: DeliveryStatus, dropReason: DropReason | null, held: boolean }> }>, pageInfo: { hasNextPage: boolean, endCursor: string | null, searchedUntil: string | null } } };

export type EventsAgainQueryVariables = Exact<{
  ids: Array<string> | string;
}>;


export type EventsAgainQuery = { nodes: Array<
    | { id: string, eventId: string, eventName: string, receivedAt: string, timesReceived: number, identifiers: Array<string>, custom: { value: Decimal | null, currency: string | null }, deliveries: Array<{ id: string, platform: Platform, status: DeliveryStatus, dropReason: DropReason | null, held: boolean }> }
    | Record<PropertyKey, never>
   | null> };

export type EventByIdQueryVariables = Exact<{
  eventId: string;
}>;


export type EventByIdQuery = { event: { eventId: string } | null };

export type EventsKeptQueryVariables = Exact<{ [key: string]: never; }>;


export type EventsKeptQuery = { merchant: { retentionDays: RetentionDays } };

export const EventList = "query EventList($first:Int$after:String$filter:EventFilter){events(first:$first after:$after filter:$filter){nodes{...EventLine}pageInfo{hasNextPage endCursor searchedUntil}}}fragment EventLine on Event{id eventId eventName receivedAt timesReceived identifiers custom{value currency}deliveries{id platform status dropReason held}}" as Operation<EventListQuery, EventListQueryVariables>
export const EventsAgain = "query EventsAgain($ids:[ID!]!){nodes(ids:$ids){...EventLine}}fragment EventLine on Event{id eventId eventName receivedAt timesReceived identifiers custom{value currency}deliveries{id platform status dropReason held}}" as Operation<EventsAgainQuery, EventsAgainQueryVariables>
export const EventById = "query EventById($eventId:String!){event(eventId:$eventId){eventId}}" as Operation<EventByIdQuery, EventByIdQueryVariables>
export const EventsKept = "query EventsKept{merchant{retentionDays}}" as Operation<EventsKeptQuery, EventsKeptQueryVariables>
