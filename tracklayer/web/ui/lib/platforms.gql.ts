// Made by `make ui` from platforms.graphql and the schema.
import type { Operation } from '../lib/api'
import type { Decimal, Json } from '../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
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

export type PlatformsQueryVariables = Exact<{ [key: string]: never; }>;


export type PlatformsQuery = { platforms: Array<{ platform: Platform, title: string, docsUrl: string, maxEventAgeHours: number | null, batchSize: number, supportsTestEvents: boolean, testEffect: string | null, deduplication: string }> };

export const Platforms = "query Platforms{platforms{platform title docsUrl maxEventAgeHours batchSize supportsTestEvents testEffect deduplication}}" as Operation<PlatformsQuery, PlatformsQueryVariables>
