// Made by `make ui` from settings.graphql and the schema.
import type { Operation } from '../../lib/api'
import type { Decimal, Json } from '../../lib/exact'

/** Of the generator. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Of the generator. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** In which form a channel is told. */
export type AlertChannelKind =
  /** JSON, signed as Standard Webhooks has it. */
  | 'WEBHOOK'
  /** A message for an incoming webhook of Slack, Mattermost, Rocket.Chat or Discord (its address at /slack). */
  | 'SLACK';

/** How much an alert matters. */
export type AlertSeverity =
  /** Look soon. */
  | 'WARNING'
  /** Conversions are being lost or held up now. */
  | 'CRITICAL';

/** What an API key may do. */
export type ApiKeyScope =
  /** Send events. */
  | 'INGEST'
  /** Read everything of the merchant. */
  | 'READ'
  /** Everything, changes of the settings too. */
  | 'ADMIN';

/** What changes of the collector, which a shop's pages call; what is left out stays. */
export type CollectorInput = {
  /** Whether pages may call. From the first time on, new events get what is known of their browser. */
  enabled?: boolean | null | undefined;
  /** The shop's own pages, such as https://www.shop.example.com; no others may call. At most 20. */
  origins?: Array<string> | null | undefined;
  /** Whose hosts share the cookie, such as shop.example.com; never a suffix that anybody can register under. Left out where none was set: the domain that all origins have in common. Empty or null: the collector's own host alone. */
  cookieDomain?: string | null | undefined;
  /** Whether nothing is set or kept before a page says that its visitor agreed, whatever its tag says. */
  consentRequired?: boolean | null | undefined;
};

/** Whose events are sent only where ad_user_data is granted. Of people whom the rule does not ask, and who denied it, a platform gets nothing, or the event without email, phone and name: its page says which. */
export type ConsentRule =
  /** Nobody's: none is asked for. */
  | 'NEVER'
  /** Of people in the EEA, the United Kingdom and Switzerland, and of those whose country is not known. */
  | 'EEA'
  /** Everybody's. */
  | 'ALWAYS';

/** A new API key. */
export type CreateApiKeyInput = {
  /** What it is for. */
  name: string;
  /** What it may do. */
  scopes: Array<ApiKeyScope>;
};

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

/** Creates a channel, or changes it: what is left out stays as it is. */
export type SetAlertChannelInput = {
  /** The channel that changes; left out: a new one. */
  id?: string | null | undefined;
  /** Its form, which it keeps; needed for a new one. */
  kind?: AlertChannelKind | null | undefined;
  /** Where it is told: https or http. Needed for a new one; shown without its path afterwards. */
  url?: string | null | undefined;
  /** What it is told of: kinds of alerts in lower case, delivery.dropped, destination.held, destination.resumed, redelivery.finished; * is all alerts, and what a new one has where this is left out. */
  topics?: Array<string> | null | undefined;
  /** Alerts below it are not told there; WARNING of a new one. */
  minSeverity?: AlertSeverity | null | undefined;
  /** Makes a new signing secret, which is shown once; for 24 hours both of them sign. */
  rotateSecret?: boolean | null | undefined;
};

/** Changes the merchant's settings; what is left out stays. */
export type UpdateMerchantInput = {
  /** The merchant's name. */
  name?: string | null | undefined;
  /** How long events are kept; applies to stored ones too. */
  retentionDays?: RetentionDays | null | undefined;
  /** Whether email and phone are kept as SHA-256 only; applies to new events. */
  hashUserData?: boolean | null | undefined;
  /** Who gets alerts by e-mail; empty or null: nobody. It is taken also where no mail server is set: `sendsMail` says so, and then nobody gets one. */
  alertEmails?: Array<string> | null | undefined;
  /** ISO 4217 code of values that come without one, on every platform; null: none is filled in. */
  defaultCurrency?: string | null | undefined;
  /** The page of website events that come without one; null: none. */
  defaultPageUrl?: string | null | undefined;
  /** Whose events are sent only with ad_user_data granted, on every platform. */
  requireConsent?: ConsentRule | null | undefined;
  /** What the shop's pages may tell. */
  collector?: CollectorInput | null | undefined;
};

export type MerchantSettingsFragment = { id: string, name: string, retentionDays: RetentionDays, hashUserData: boolean, alertEmails: Array<string>, sendsMail: boolean, defaultCurrency: string | null, defaultPageUrl: string | null, requireConsent: ConsentRule, collector: { enabled: boolean, origins: Array<string>, cookieDomain: string | null, consentRequired: boolean, publicKey: string | null, cookieName: string, cookieMaxAgeSeconds: number, snippet: string | null } };

export type ChannelFragment = { id: string, kind: AlertChannelKind, url: string, topics: Array<string>, minSeverity: AlertSeverity, lastError: string | null, createdAt: string };

export type KeyFragment = { id: string, name: string, scopes: Array<ApiKeyScope>, prefix: string, createdAt: string, lastUsedAt: string | null, revokedAt: string | null, current: boolean };

export type TroubleFragment = { field: Array<string> | null, code: string, message: string };

export type SettingsQueryVariables = Exact<{ [key: string]: never; }>;


export type SettingsQuery = { merchant: { id: string, name: string, retentionDays: RetentionDays, hashUserData: boolean, alertEmails: Array<string>, sendsMail: boolean, defaultCurrency: string | null, defaultPageUrl: string | null, requireConsent: ConsentRule, alertChannels: Array<{ id: string, kind: AlertChannelKind, url: string, topics: Array<string>, minSeverity: AlertSeverity, lastError: string | null, createdAt: string }>, apiKeys: Array<{ id: string, name: string, scopes: Array<ApiKeyScope>, prefix: string, createdAt: string, lastUsedAt: string | null, revokedAt: string | null, current: boolean }>, collector: { enabled: boolean, origins: Array<string>, cookieDomain: string | null, consentRequired: boolean, publicKey: string | null, cookieName: string, cookieMaxAgeSeconds: number, snippet: string | null } } };

export type RetentionQueryVariables = Exact<{
  days: RetentionDays;
}>;


export type RetentionQuery = { merchant: { id: string, retentionPreview: { before: string, events: number, oldest: string | null } } };

export type UpdateMerchantMutationVariables = Exact<{
  input: UpdateMerchantInput;
}>;


export type UpdateMerchantMutation = { updateMerchant: { merchant: { id: string, name: string, retentionDays: RetentionDays, hashUserData: boolean, alertEmails: Array<string>, sendsMail: boolean, defaultCurrency: string | null, defaultPageUrl: string | null, requireConsent: ConsentRule, collector: { enabled: boolean, origins: Array<string>, cookieDomain: string | null, consentRequired: boolean, publicKey: string | null, cookieName: string, cookieMaxAgeSeconds: number, snippet: string | null } } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type SetAlertChannelMutationVariables = Exact<{
  input: SetAlertChannelInput;
}>;


export type SetAlertChannelMutation = { setAlertChannel: { secret: string | null, channel: { id: string, kind: AlertChannelKind, url: string, topics: Array<string>, minSeverity: AlertSeverity, lastError: string | null, createdAt: string } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type TestAlertChannelMutationVariables = Exact<{
  id: string;
}>;


export type TestAlertChannelMutation = { testAlertChannel: { channel: { id: string, kind: AlertChannelKind, url: string, topics: Array<string>, minSeverity: AlertSeverity, lastError: string | null, createdAt: string } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type RemoveAlertChannelMutationVariables = Exact<{
  id: string;
}>;


export type RemoveAlertChannelMutation = { removeAlertChannel: { channel: { id: string } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type CreateApiKeyMutationVariables = Exact<{
  input: CreateApiKeyInput;
}>;


export type CreateApiKeyMutation = { createApiKey: { key: string | null, apiKey: { id: string, name: string, scopes: Array<ApiKeyScope>, prefix: string, createdAt: string, lastUsedAt: string | null, revokedAt: string | null, current: boolean } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type RevokeApiKeyMutationVariables = Exact<{
  id: string;
}>;


export type RevokeApiKeyMutation = { revokeApiKey: { apiKey: { id: string, name: string, scopes: Array<ApiKeyScope>, prefix: string, createdAt: string, lastUsedAt: string | null, revokedAt: string | null, current: boolean } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export const Settings = "query Settings{merchant{...MerchantSettings alertChannels{...Channel}apiKeys{...Key}}}fragment Channel on AlertChannel{id kind url topics minSeverity lastError createdAt}fragment Key on ApiKey{id name scopes prefix createdAt lastUsedAt revokedAt current}fragment MerchantSettings on Merchant{id name retentionDays hashUserData alertEmails sendsMail defaultCurrency defaultPageUrl requireConsent collector{enabled origins cookieDomain consentRequired publicKey cookieName cookieMaxAgeSeconds snippet}}" as Operation<SettingsQuery, SettingsQueryVariables>
export const Retention = "query Retention($days:RetentionDays!){merchant{id retentionPreview(retentionDays:$days){before events oldest}}}" as Operation<RetentionQuery, RetentionQueryVariables>
export const UpdateMerchant = "mutation UpdateMerchant($input:UpdateMerchantInput!){updateMerchant(input:$input){merchant{...MerchantSettings}userErrors{...Trouble}}}fragment MerchantSettings on Merchant{id name retentionDays hashUserData alertEmails sendsMail defaultCurrency defaultPageUrl requireConsent collector{enabled origins cookieDomain consentRequired publicKey cookieName cookieMaxAgeSeconds snippet}}fragment Trouble on UserError{field code message}" as Operation<UpdateMerchantMutation, UpdateMerchantMutationVariables>
export const SetAlertChannel = "mutation SetAlertChannel($input:SetAlertChannelInput!){setAlertChannel(input:$input){channel{...Channel}secret userErrors{...Trouble}}}fragment Channel on AlertChannel{id kind url topics minSeverity lastError createdAt}fragment Trouble on UserError{field code message}" as Operation<SetAlertChannelMutation, SetAlertChannelMutationVariables>
export const TestAlertChannel = "mutation TestAlertChannel($id:ID!){testAlertChannel(id:$id){channel{...Channel}userErrors{...Trouble}}}fragment Channel on AlertChannel{id kind url topics minSeverity lastError createdAt}fragment Trouble on UserError{field code message}" as Operation<TestAlertChannelMutation, TestAlertChannelMutationVariables>
export const RemoveAlertChannel = "mutation RemoveAlertChannel($id:ID!){removeAlertChannel(id:$id){channel{id}userErrors{...Trouble}}}fragment Trouble on UserError{field code message}" as Operation<RemoveAlertChannelMutation, RemoveAlertChannelMutationVariables>
export const CreateApiKey = "mutation CreateApiKey($input:CreateApiKeyInput!){createApiKey(input:$input){apiKey{...Key}key userErrors{...Trouble}}}fragment Key on ApiKey{id name scopes prefix createdAt lastUsedAt revokedAt current}fragment Trouble on UserError{field code message}" as Operation<CreateApiKeyMutation, CreateApiKeyMutationVariables>
export const RevokeApiKey = "mutation RevokeApiKey($id:ID!){revokeApiKey(id:$id){apiKey{...Key}userErrors{...Trouble}}}fragment Key on ApiKey{id name scopes prefix createdAt lastUsedAt revokedAt current}fragment Trouble on UserError{field code message}" as Operation<RevokeApiKeyMutation, RevokeApiKeyMutationVariables>
