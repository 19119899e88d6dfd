// Made by `make ui` from destinations.graphql and the schema.
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

/** What ends a delivery that waits. */
export type GivenUpBy =
  /** It is tried for 24 hours. */
  | 'WINDOW'
  /** Its platform takes no event that happened longer ago. */
  | 'PLATFORM_AGE';

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

/** Creates a destination, or changes it: what is left out stays as it is. */
export type SetDestinationInput = {
  /** The platform. */
  platform: Platform;
  /** Its settings, as `platforms` lists them. One that is left out stays, one that is null is removed. */
  settings?: Json | null | undefined;
  /** Only events of these names; null: every event. */
  eventNames?: Array<string> | null | undefined;
};

/** What the value of a setting is. */
export type SettingKind =
  /** Text. */
  | 'TEXT'
  /** A whole number. */
  | 'NUMBER'
  /** true or false. */
  | 'FLAG'
  /** One of `choices`. */
  | 'CHOICE'
  /** An object of text: what stands left is what `keyLabel` says. */
  | 'MAP'
  /** A list of text. */
  | 'LIST'
  /** A JSON document, as an object or as its text. */
  | 'DOCUMENT';

export type DestinationFactsFragment = { id: string, platform: Platform, state: DestinationState, stateReason: string | null, eventNames: Array<string> | null, settings: Json, waiting: number, createdAt: string, windowSeconds: number, release: { waiting: number, perSecond: number, fullPerSecond: number, fullAfterSeconds: number, seconds: number } | null, standing: { lastDeliveredAt: string | null, deliveredPerMinute: number, waitingSince: string | null, deadline: string | null, givenUpBy: GivenUpBy | null, emptyAt: string | null }, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, count: number, eventName: string | null, exampleEventId: string | null }> };

export type PlatformFormFragment = { platform: Platform, title: string, docsUrl: string, supportsTestEvents: boolean, testNeeds: Array<string>, testEffect: string | null, insteadOfTest: string | null, maxEventAgeHours: number | null, deduplication: string, eventNames: Json, settings: Array<{ name: string, label: string, help: string, required: boolean, demand: string | null, unset: string | null, secret: boolean, kind: SettingKind, choices: Array<string>, example: Json | null, keyLabel: string | null, takesOthers: boolean }> };

export type RefusedFragment = { reason: string, count: number, field: string | null, exampleEventId: string | null };

export type TroubleFragment = { field: Array<string> | null, code: string, message: string };

export type DestinationsQueryVariables = Exact<{ [key: string]: never; }>;


export type DestinationsQuery = { merchant: { id: string, destinations: Array<{ id: string, platform: Platform, state: DestinationState, stateReason: string | null, eventNames: Array<string> | null, settings: Json, waiting: number, createdAt: string, windowSeconds: number, release: { waiting: number, perSecond: number, fullPerSecond: number, fullAfterSeconds: number, seconds: number } | null, standing: { lastDeliveredAt: string | null, deliveredPerMinute: number, waitingSince: string | null, deadline: string | null, givenUpBy: GivenUpBy | null, emptyAt: string | null }, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, count: number, eventName: string | null, exampleEventId: string | null }> }> } };

export type PlatformFormsQueryVariables = Exact<{ [key: string]: never; }>;


export type PlatformFormsQuery = { platforms: Array<{ platform: Platform, title: string, docsUrl: string, supportsTestEvents: boolean, testNeeds: Array<string>, testEffect: string | null, insteadOfTest: string | null, maxEventAgeHours: number | null, deduplication: string, eventNames: Json, settings: Array<{ name: string, label: string, help: string, required: boolean, demand: string | null, unset: string | null, secret: boolean, kind: SettingKind, choices: Array<string>, example: Json | null, keyLabel: string | null, takesOthers: boolean }> }> };

export type AnswersQueryVariables = Exact<{
  destination: string;
}>;


export type AnswersQuery = { node:
    | { id: string, answers: Array<{ attempt: { at: string, outcome: AttemptOutcome, httpStatus: number | null, error: string | null, durationMs: number, note: string | null }, delivery: { id: string, status: DeliveryStatus, dropReason: DropReason | null, event: { eventId: string, eventName: string } } }> }
    | Record<PropertyKey, never>
   | null };

export type NewestEventsQueryVariables = Exact<{ [key: string]: never; }>;


export type NewestEventsQuery = { events: { nodes: Array<{ id: string, eventId: string, eventName: string, receivedAt: string }> } };

export type DryRunQueryVariables = Exact<{
  eventId: string;
  platform: Platform;
}>;


export type DryRunQuery = { event: { id: string, eventId: string, eventName: string, receivedAt: string, preview: { wouldSend: boolean, request: Json | null, verdicts: Array<{ rule: string, ok: boolean, message: string, field: string | null }> } } | null };

export type SetDestinationMutationVariables = Exact<{
  input: SetDestinationInput;
}>;


export type SetDestinationMutation = { setDestination: { destination: { id: string, platform: Platform, state: DestinationState, stateReason: string | null, eventNames: Array<string> | null, settings: Json, waiting: number, createdAt: string, windowSeconds: number, release: { waiting: number, perSecond: number, fullPerSecond: number, fullAfterSeconds: number, seconds: number } | null, standing: { lastDeliveredAt: string | null, deliveredPerMinute: number, waitingSince: string | null, deadline: string | null, givenUpBy: GivenUpBy | null, emptyAt: string | null }, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, count: number, eventName: string | null, exampleEventId: string | null }> } | null, check: { events: number, wouldSend: number, refused: Array<{ reason: string, count: number, field: string | null, exampleEventId: string | null }>, noPlace: Array<{ field: string, count: number }>, warnings: Array<{ message: string }> } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type PauseDestinationMutationVariables = Exact<{
  platform: Platform;
}>;


export type PauseDestinationMutation = { pauseDestination: { destination: { id: string, platform: Platform, state: DestinationState, stateReason: string | null, eventNames: Array<string> | null, settings: Json, waiting: number, createdAt: string, windowSeconds: number, release: { waiting: number, perSecond: number, fullPerSecond: number, fullAfterSeconds: number, seconds: number } | null, standing: { lastDeliveredAt: string | null, deliveredPerMinute: number, waitingSince: string | null, deadline: string | null, givenUpBy: GivenUpBy | null, emptyAt: string | null }, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, count: number, eventName: string | null, exampleEventId: string | null }> } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type ResumeDestinationMutationVariables = Exact<{
  platform: Platform;
}>;


export type ResumeDestinationMutation = { resumeDestination: { destination: { id: string, platform: Platform, state: DestinationState, stateReason: string | null, eventNames: Array<string> | null, settings: Json, waiting: number, createdAt: string, windowSeconds: number, release: { waiting: number, perSecond: number, fullPerSecond: number, fullAfterSeconds: number, seconds: number } | null, standing: { lastDeliveredAt: string | null, deliveredPerMinute: number, waitingSince: string | null, deadline: string | null, givenUpBy: GivenUpBy | null, emptyAt: string | null }, advice: Array<{ code: AdviceCode, sentence: string, nextStep: string, since: string, count: number, eventName: string | null, exampleEventId: string | null }> } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type RemoveDestinationMutationVariables = Exact<{
  platform: Platform;
}>;


export type RemoveDestinationMutation = { removeDestination: { destination: { id: string } | null, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export type TestDestinationMutationVariables = Exact<{
  platform: Platform;
}>;


export type TestDestinationMutation = { testDestination: { request: Json | null, attempt: { outcome: AttemptOutcome, httpStatus: number | null, error: string | null, durationMs: number, note: string | null } | null, explanation: { code: string, summary: string, field: string | null, nextStep: string, docsUrl: string | null } | null, verdicts: Array<{ rule: string, ok: boolean, message: string, field: string | null }>, userErrors: Array<{ field: Array<string> | null, code: string, message: string }> } };

export const Destinations = "query Destinations{merchant{id destinations{...DestinationFacts}}}fragment DestinationFacts on Destination{id platform state stateReason eventNames settings waiting createdAt windowSeconds release{waiting perSecond fullPerSecond fullAfterSeconds seconds}standing{lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt}advice{code sentence nextStep since count eventName exampleEventId}}" as Operation<DestinationsQuery, DestinationsQueryVariables>
export const PlatformForms = "query PlatformForms{platforms{...PlatformForm}}fragment PlatformForm on PlatformInfo{platform title docsUrl supportsTestEvents testNeeds testEffect insteadOfTest maxEventAgeHours deduplication eventNames settings{name label help required demand unset secret kind choices example keyLabel takesOthers}}" as Operation<PlatformFormsQuery, PlatformFormsQueryVariables>
export const Answers = "query Answers($destination:ID!){node(id:$destination){...on Destination{id answers{attempt{at outcome httpStatus error durationMs note}delivery{id status dropReason event{eventId eventName}}}}}}" as Operation<AnswersQuery, AnswersQueryVariables>
export const NewestEvents = "query NewestEvents{events(first:10){nodes{id eventId eventName receivedAt}}}" as Operation<NewestEventsQuery, NewestEventsQueryVariables>
export const DryRun = "query DryRun($eventId:String!$platform:Platform!){event(eventId:$eventId){id eventId eventName receivedAt preview(platform:$platform){wouldSend request verdicts{rule ok message field}}}}" as Operation<DryRunQuery, DryRunQueryVariables>
export const SetDestination = "mutation SetDestination($input:SetDestinationInput!){setDestination(input:$input){destination{...DestinationFacts}check{events wouldSend refused{...Refused}noPlace{field count}warnings{message}}userErrors{...Trouble}}}fragment DestinationFacts on Destination{id platform state stateReason eventNames settings waiting createdAt windowSeconds release{waiting perSecond fullPerSecond fullAfterSeconds seconds}standing{lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt}advice{code sentence nextStep since count eventName exampleEventId}}fragment Refused on RefusedGroup{reason count field exampleEventId}fragment Trouble on UserError{field code message}" as Operation<SetDestinationMutation, SetDestinationMutationVariables>
export const PauseDestination = "mutation PauseDestination($platform:Platform!){pauseDestination(platform:$platform){destination{...DestinationFacts}userErrors{...Trouble}}}fragment DestinationFacts on Destination{id platform state stateReason eventNames settings waiting createdAt windowSeconds release{waiting perSecond fullPerSecond fullAfterSeconds seconds}standing{lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt}advice{code sentence nextStep since count eventName exampleEventId}}fragment Trouble on UserError{field code message}" as Operation<PauseDestinationMutation, PauseDestinationMutationVariables>
export const ResumeDestination = "mutation ResumeDestination($platform:Platform!){resumeDestination(platform:$platform){destination{...DestinationFacts}userErrors{...Trouble}}}fragment DestinationFacts on Destination{id platform state stateReason eventNames settings waiting createdAt windowSeconds release{waiting perSecond fullPerSecond fullAfterSeconds seconds}standing{lastDeliveredAt deliveredPerMinute waitingSince deadline givenUpBy emptyAt}advice{code sentence nextStep since count eventName exampleEventId}}fragment Trouble on UserError{field code message}" as Operation<ResumeDestinationMutation, ResumeDestinationMutationVariables>
export const RemoveDestination = "mutation RemoveDestination($platform:Platform!){removeDestination(platform:$platform){destination{id}userErrors{...Trouble}}}fragment Trouble on UserError{field code message}" as Operation<RemoveDestinationMutation, RemoveDestinationMutationVariables>
export const TestDestination = "mutation TestDestination($platform:Platform!){testDestination(platform:$platform){attempt{outcome httpStatus error durationMs note}request explanation{code summary field nextStep docsUrl}verdicts{rule ok message field}userErrors{...Trouble}}}fragment Trouble on UserError{field code message}" as Operation<TestDestinationMutation, TestDestinationMutationVariables>
