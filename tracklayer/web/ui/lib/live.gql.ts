// Made by `make ui` from live.graphql and the schema.
import type { Operation } from '../lib/api'
import type { Decimal, Json } from '../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
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

export type AlertLineFragment = { id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, message: string, openedAt: string, resolvedAt: string | null, acknowledgedAt: string | null, snoozedUntil: string | null };

export type OpenAlertsQueryVariables = Exact<{ [key: string]: never; }>;


export type OpenAlertsQuery = { alerts: { nodes: Array<{ id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, message: string, openedAt: string, resolvedAt: string | null, acknowledgedAt: string | null, snoozedUntil: string | null }> } };

export type LiveAlertsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type LiveAlertsSubscription = { alerts: { change: string | null, id: string, kind: AlertKind, severity: AlertSeverity, state: AlertState, platform: Platform | null, eventName: string | null, title: string, message: string, openedAt: string, resolvedAt: string | null, acknowledgedAt: string | null, snoozedUntil: string | null } };

export const OpenAlerts = "query OpenAlerts{alerts(first:100 filter:{state:OPEN}){nodes{...AlertLine}}}fragment AlertLine on Alert{id kind severity state platform eventName title message openedAt resolvedAt acknowledgedAt snoozedUntil}" as Operation<OpenAlertsQuery, OpenAlertsQueryVariables>
export const LiveAlerts = "subscription LiveAlerts($after:ID){alerts(after:$after){change ...AlertLine}}fragment AlertLine on Alert{id kind severity state platform eventName title message openedAt resolvedAt acknowledgedAt snoozedUntil}" as Operation<LiveAlertsSubscription, LiveAlertsSubscriptionVariables>
