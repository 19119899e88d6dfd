"""The words of the API that come from a closed list. Values are what the rest of the house uses."""

from __future__ import annotations

from enum import Enum
from typing import Any

import strawberry

from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.mappers.base import SettingKind as Kind
from tracklayer.services.merchants import RETENTION_DAYS

VALUES: dict[str, list[str]] = {}  # of each enum, by its name


def _enum(name: str, description: str, members: dict[str, tuple[Any, str]]) -> Any:
    """A GraphQL enum: name -> (value, description)."""
    values = {key: strawberry.enum_value(value, description=text) for key, (value, text) in members.items()}
    VALUES[name] = list(members)
    made: Any = Enum(name, values)  # type: ignore[misc]
    return strawberry.enum(made, name=name, description=description)


Platform = _enum(
    "Platform",
    "An ad platform that events are delivered to.",
    {key.upper(): (key, f"{mapper_for(key).title}.") for key in PLATFORMS},
)
DeliveryStatus = _enum(
    "DeliveryStatus",
    "Where a delivery stands.",
    {
        "QUEUED": ("queued", "Accepted and scheduled; nothing has reached the platform yet."),
        "DELIVERED": ("delivered", "The platform acknowledged it."),
        "FAILED": ("failed", "An attempt failed; it is tried again."),
        "DROPPED": ("dropped", "Given up: dropReason says why."),
    },
)
EnrichmentNote = _enum(
    "EnrichmentNote",
    "Why nothing, or not more, was added to an event.",
    {
        "CONSENT_DENIED": ("consent_denied", "Consent was denied, with the event or in its browser."),
        "SHARED_BROWSER": (
            "shared_browser",
            "Its browser was seen with two people of late: whose event, or whose click, it was cannot be known.",
        ),
        "MAILBOX_OF_MANY": (
            "mailbox_of_many",
            "The email or phone was seen with very many browsers or events: it is a counter's or a team's.",
        ),
        "BROWSER_OF_MANY": (
            "browser_of_many",
            "The browser was seen with very many people of late: it is a till's, or a call centre's.",
        ),
        "NO_BROWSER_KNOWN": (
            "no_browser_known",
            "Its browser never showed anything, or its email or phone was seen with no browser that did.",
        ),
        "OUT_OF_TIME": (
            "out_of_time",
            "What is known is past its platform's window, too old to be sure of, or came after the event.",
        ),
    },
)
SettingKind = _enum(
    "SettingKind",
    "What the value of a setting is.",
    {
        "TEXT": (Kind.TEXT, "Text."),
        "NUMBER": (Kind.NUMBER, "A whole number."),
        "FLAG": (Kind.FLAG, "true or false."),
        "CHOICE": (Kind.CHOICE, "One of `choices`."),
        "MAP": (Kind.MAP, "An object of text: what stands left is what `keyLabel` says."),
        "LIST": (Kind.LIST, "A list of text."),
        "DOCUMENT": (Kind.DOCUMENT, "A JSON document, as an object or as its text."),
    },
)
ConsentRule = _enum(
    "ConsentRule",
    "Whose events are sent only where ad_user_data is granted. Of people whom the rule does not ask, and who denied it, a platform gets "
    "nothing, or the event without email, phone and name: its page says which.",
    {
        "NEVER": ("never", "Nobody's: none is asked for."),
        "EEA": (
            "eea",
            "Of people in the EEA, the United Kingdom and Switzerland, and of those whose country is not known.",
        ),
        "ALWAYS": ("always", "Everybody's."),
    },
)
DropReason = _enum(
    "DropReason",
    "Why a delivery was given up.",
    {
        "RETRIES_EXHAUSTED": ("retries_exhausted", "Five attempts failed."),
        "WINDOW_EXPIRED": ("window_expired", "It could not be delivered within 24 hours."),
        "UNSUPPORTED_EVENT": ("unsupported_event", "The platform has no event for this name."),
        "MISSING_IDENTIFIERS": ("missing_identifiers", "Nothing by which the platform could match a person."),
        "INVALID_FIELD": (
            "invalid_field",
            "A field that the platform, or your consent rule, demands is missing or wrong.",
        ),
        "EVENT_TOO_OLD": ("event_too_old", "The event happened longer ago than the platform takes."),
        "CONSENT_DENIED": ("consent_denied", "The person refused the use of their data for ads."),
        "DESTINATION_REMOVED": ("destination_removed", "Its destination was removed while it waited."),
        "ERASED": ("erased", "The person was erased while it waited."),
        "SUPPRESSED": ("suppressed", "The person was erased before, and is to be left alone: nothing was sent."),
    },
)
AlertKind = _enum(
    "AlertKind",
    "What an alert is about.",
    {
        "PLATFORM_DOWN": ("platform_down", "A platform consistently refuses requests or does not answer."),
        "QUEUE_BACKLOG": ("queue_backlog", "Events arrive faster than they are delivered."),
        "TRACKING_STOPPED": ("tracking_stopped", "A merchant that usually sends events has gone quiet."),
        "DELIVERY_RATE_DROP": ("delivery_rate_drop", "The success rate fell below what is normal."),
        "EVENTS_REJECTED": ("events_rejected", "Markedly more events than usual are refused at the door."),
        "MATCH_QUALITY_DROP": ("match_quality_drop", "Events of one name lost identifiers that they used to carry."),
        "LIKELY_DUPLICATES": ("likely_duplicates", "The same conversion seems to arrive under several event ids."),
        "VALUE_LOST": ("value_lost", "Events of one name lost their value or currency."),
        "EVENT_NAME_UNKNOWN": (
            "event_name_unknown",
            "A destination filters out a name that differs only in spelling from one it takes.",
        ),
    },
)
AdviceCode = _enum(
    "AdviceCode",
    "What is about to cost conversions.",
    {
        "TEST_MODE_ON": ("test_mode_on", "A destination has been in test mode for more than a day."),
        "CREDENTIALS_EXPIRE_SOON": ("credentials_expire_soon", "A destination's credentials end soon."),
        "NAME_MISSPELT": (
            "name_misspelt",
            "Events arrive under a name that differs only in spelling from one that counts.",
        ),
        "EVENTS_TOO_OLD": ("events_too_old", "Events arrive when they are older than the platform takes."),
        "CLOCK_AHEAD": ("clock_ahead", "Events say that they happen in the future: the shop's clock is ahead."),
        "EVENTS_LATE": ("events_late", "Events arrive days after they happened."),
        "VALUE_ALWAYS_ZERO": ("value_always_zero", "Purchases all have the value 0."),
        "VALUE_MISSING": ("value_missing", "Purchases bring no value."),
        "CURRENCY_MISSING": (
            "currency_missing",
            "Purchases bring a value without a currency, and there is no default.",
        ),
        "SOURCE_NOT_TAKEN": (
            "source_not_taken",
            "Events come from a source, such as an app, that the destination is not set up for.",
        ),
        "EVENT_IDS_REUSED": (
            "event_ids_reused",
            "Most events repeat an event id that was sent before, and are counted once.",
        ),
        "TAKEN_WITH_NOTES": (
            "taken_with_notes",
            "A platform says something of many events that it takes, such as that it took requests only in part.",
        ),
        "FILTER_TAKES_NOTHING": (
            "filter_takes_nothing",
            "A destination gets nothing, as its event names are none that events come with.",
        ),
        "DROPPED_BY_REMOVAL": (
            "dropped_by_removal",
            "A destination was removed while deliveries waited for it: they were dropped.",
        ),
        "ALERTS_UNTOLD": ("alerts_untold", "An alert is open, and nobody is told of it."),
    },
)
AlertSeverity = _enum(
    "AlertSeverity",
    "How much an alert matters.",
    {"WARNING": ("warning", "Look soon."), "CRITICAL": ("critical", "Conversions are being lost or held up now.")},
)
AlertChannelKind = _enum(
    "AlertChannelKind",
    "In which form a channel is told.",
    {
        "WEBHOOK": ("webhook", "JSON, signed as Standard Webhooks has it."),
        "SLACK": (
            "slack",
            "A message for an incoming webhook of Slack, Mattermost, Rocket.Chat or Discord (its address at /slack).",
        ),
    },
)
AlertState = _enum(
    "AlertState",
    "Whether an alert still holds.",
    {"OPEN": ("open", "It still holds."), "RESOLVED": ("resolved", "It is over.")},
)
AlertChartUnit = _enum(
    "AlertChartUnit",
    "What the values of an alert's chart are.",
    {
        "SHARE": ("share", "Shares, 0 to 1."),
        "EVENTS": ("events", "Events of each step."),
        "DELIVERIES": ("deliveries", "Deliveries of each step."),
    },
)
AlertSeriesRole = _enum(
    "AlertSeriesRole",
    "What a line is among those of an alert's chart.",
    {
        "SEEN": ("seen", "What was seen."),
        "NORMAL": ("normal", "What is normal, as it was learned."),
        "COMPARED": ("compared", "What it is to be held against: what came in, or another name."),
    },
)
ActionSource = _enum(
    "ActionSource",
    "Where the action took place.",
    {
        "WEBSITE": ("website", "On a website."),
        "APP": ("app", "In a mobile app."),
        "EMAIL": ("email", "By e-mail."),
        "PHONE_CALL": ("phone_call", "By phone."),
        "CHAT": ("chat", "In a chat."),
        "PHYSICAL_STORE": ("physical_store", "In a shop, in person."),
        "SYSTEM_GENERATED": ("system_generated", "By itself, such as a subscription's renewal."),
        "BUSINESS_MESSAGING": ("business_messaging", "From an ad that opens a messenger."),
        "OTHER": ("other", "Anywhere else."),
    },
)
ConsentState = _enum(
    "ConsentState",
    "What a person said about one use of their data.",
    {
        "GRANTED": ("granted", "They agreed."),
        "DENIED": ("denied", "They refused."),
        "UNSPECIFIED": ("unspecified", "Not asked, or not known."),
    },
)
IngestOutcome = _enum(
    "IngestOutcome",
    "What became of an event that was sent.",
    {
        "ACCEPTED": ("accepted", "Stored, and its deliveries are queued."),
        "COALESCED": ("coalesced", "Stored before under the same eventId: counted, not delivered again."),
        "REJECTED": ("rejected", "Nothing of it is stored: userErrors say what is wrong."),
    },
)
DestinationState = _enum(
    "DestinationState",
    "Whether a destination is sent to.",
    {
        "ACTIVE": ("active", "Events are delivered."),
        "PAUSED": ("paused", "Paused by the merchant: deliveries wait."),
        "HELD": ("held", "Unreachable, or its credentials are refused: deliveries wait, one probe at a time goes out."),
    },
)
RetentionDays = _enum(
    "RetentionDays",
    "How long events and their deliveries are kept.",
    {f"DAYS_{days}": (days, f"{days} days.") for days in RETENTION_DAYS},
)
ApiKeyScope = _enum(
    "ApiKeyScope",
    "What an API key may do.",
    {
        "INGEST": ("ingest", "Send events."),
        "READ": ("read", "Read everything of the merchant."),
        "ADMIN": ("admin", "Everything, changes of the settings too."),
    },
)
AttemptOutcome = _enum(
    "AttemptOutcome",
    "How one attempt ended.",
    {
        "ACKNOWLEDGED": ("acknowledged", "The platform took it."),
        "REJECTED": ("rejected", "The platform refused this event."),
        "RATE_LIMITED": ("rate_limited", "Too many requests: waited out, costs no attempt."),
        "CREDENTIALS_REFUSED": ("credentials_refused", "The platform refused the destination's credentials."),
        "UNREACHABLE": ("unreachable", "Nobody answered, or only with a server error."),
        "UNKNOWN": ("unknown", "Sent, and no answer was read: the platform may have taken it."),
    },
)
RedeliveryState = _enum(
    "RedeliveryState",
    "Whether a redelivery is done.",
    {
        "RUNNING": ("running", "Deliveries are still being looked at."),
        "FINISHED": ("finished", "All were looked at: each is queued again, or refused with a reason."),
    },
)
ErasureState = _enum(
    "ErasureState",
    "Whether an erasure is done.",
    {
        "RUNNING": ("running", "Events are still being looked at, or waited for."),
        "FINISHED": ("finished", "All that is the person's is gone, and there is a receipt."),
        "GIVEN_UP": (
            "given_up",
            "The operator gave up the secret key that it was sealed with, so nobody can tell whom it meant: ask for it again.",
        ),
    },
)
GivenUpBy = _enum(
    "GivenUpBy",
    "What ends a delivery that waits.",
    {
        "WINDOW": ("window", "It is tried for 24 hours."),
        "PLATFORM_AGE": ("platform_age", "Its platform takes no event that happened longer ago."),
    },
)
LedgerBucket = _enum(
    "LedgerBucket",
    "The length of a ledger row's time.",
    {"MINUTE": ("minute", "A minute."), "HOUR": ("hour", "An hour."), "DAY": ("day", "A day, in UTC.")},
)
