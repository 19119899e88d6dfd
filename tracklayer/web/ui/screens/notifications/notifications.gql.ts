// Made by `make ui` from notifications.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Narrows a list of alerts. */
export type AlertFilter = {
  /** Of one of these kinds. */
  kind?: Array<AlertKind> | null | undefined;
  /** About this platform. */
  platform?: Platform | null | undefined;
  /** Open or resolved. */
  state?: AlertState | null | undefined;
  /** Opened at this time or later. */
  openedSince?: string | null | undefined;
  /** Opened before this time. */
  openedUntil?: string | null | undefined;
};

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

export type AlertRowFragment = { id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, openedAt: string, acknowledgedAt: string | null, snoozedUntil: string | null, resolvedAt: string | null };

export type OpenNotificationsQueryVariables = Exact<{
  after?: string | null | undefined;
  filter?: AlertFilter | null | undefined;
}>;


export type OpenNotificationsQuery = { alerts: { nodes: Array<{ id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, openedAt: string, acknowledgedAt: string | null, snoozedUntil: string | null, resolvedAt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } };

export type ResolvedNotificationsQueryVariables = Exact<{
  after?: string | null | undefined;
  filter?: AlertFilter | null | undefined;
}>;


export type ResolvedNotificationsQuery = { alerts: { nodes: Array<{ id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, openedAt: string, acknowledgedAt: string | null, snoozedUntil: string | null, resolvedAt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } };

export type NotificationsAgainQueryVariables = Exact<{
  ids: Array<string> | string;
}>;


export type NotificationsAgainQuery = { nodes: Array<
    | { id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, openedAt: string, acknowledgedAt: string | null, snoozedUntil: string | null, resolvedAt: string | null }
    | Record<PropertyKey, never>
   | null> };

export type WhoIsToldQueryVariables = Exact<{ [key: string]: never; }>;


export type WhoIsToldQuery = { merchant: { alertEmails: Array<string>, sendsMail: boolean, alertsUntold: Array<AlertKind>, warningsUntold: Array<AlertKind>, alertChannels: Array<{ id: string }> } };

export const OpenNotifications = "query OpenNotifications($after:String$filter:AlertFilter){alerts(first:100 after:$after filter:$filter){nodes{...AlertRow}pageInfo{hasNextPage endCursor}}}fragment AlertRow on Alert{id kind severity state platform eventName title openedAt acknowledgedAt snoozedUntil resolvedAt}" as Operation<OpenNotificationsQuery, OpenNotificationsQueryVariables>
export const ResolvedNotifications = "query ResolvedNotifications($after:String$filter:AlertFilter){alerts(first:50 after:$after filter:$filter){nodes{...AlertRow}pageInfo{hasNextPage endCursor}}}fragment AlertRow on Alert{id kind severity state platform eventName title openedAt acknowledgedAt snoozedUntil resolvedAt}" as Operation<ResolvedNotificationsQuery, ResolvedNotificationsQueryVariables>
export const NotificationsAgain = "query NotificationsAgain($ids:[ID!]!){nodes(ids:$ids){...AlertRow}}fragment AlertRow on Alert{id kind severity state platform eventName title openedAt acknowledgedAt snoozedUntil resolvedAt}" as Operation<NotificationsAgainQuery, NotificationsAgainQueryVariables>
export const WhoIsTold = "query WhoIsTold{merchant{alertEmails sendsMail alertsUntold warningsUntold:alertsUntold(severity:WARNING)alertChannels{id}}}" as Operation<WhoIsToldQuery, WhoIsToldQueryVariables>
