"""What a delivery's last error means, in words of what to do next: from the platform's catalogue, or from ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tracklayer.domain.delivery import (
    CONSENT_MISSING,
    INTERCEPTED,
    INTERFACE_VERSION,
    MAYBE_REFUND,
    NO_REFUND,
    NOTED,
    AttemptOutcome,
    DeliveryStatus,
    DropReason,
)
from tracklayer.mappers import mapper_for
from tracklayer.mappers.base import Explanation

_FIX = "Mend it at the source for the next events; this one cannot be mended."

# What TrackLayer itself decided, before or instead of the platform.
OWN: dict[str, Explanation] = {
    DropReason.UNSUPPORTED_EVENT.name: Explanation(
        "The platform has no event for this name.",
        "Leave it out with the destination's event names, or map it in the destination's settings where the platform's page offers"
        " that; a refund never, which would count as one more sale.",
        "event_name",
    ),
    NO_REFUND: Explanation(
        "The platform has nothing that takes a purchase back.",
        "Leave the name out with the destination's event names. Do not map it in the settings: each refund would count as one more"
        " sale.",
        "event_name",
    ),
    MAYBE_REFUND: Explanation(
        "The name may be a refund's, which would count as one more sale.",
        "Where it is one, leave the name out with the destination's event names, or have the shop send Refund. Map it in the"
        " destination's settings only where it is none.",
        "event_name",
    ),
    DropReason.MISSING_IDENTIFIERS.name: Explanation(
        "The event carries nothing by which the platform could match a person.",
        f"Send more of the identifiers that the platform's page lists. {_FIX}",
        "user_data",
    ),
    DropReason.INVALID_FIELD.name: Explanation(
        "A field that the platform demands is missing or wrong.", f"The delivery's error names it. {_FIX}"
    ),
    DropReason.EVENT_TOO_OLD.name: Explanation(
        "The event happened longer ago than the platform takes.",
        "Send events soon after they happen. No redelivery can help this one.",
        "occurred_at",
    ),
    DropReason.CONSENT_DENIED.name: Explanation(
        "The person refused the use of their data for ads.", "Nothing to do.", "consent.ad_user_data"
    ),
    CONSENT_MISSING: Explanation(
        "Consent is required, and none was sent with the event: nobody refused.",
        "Send consent.adUserData with the next events, GRANTED or DENIED as the person chose. Where you need not ask, set the"
        " consent rule (requireConsent, or require_consent of the destination) to NEVER, then redeliver this one.",
        "consent.ad_user_data",
    ),
    DropReason.WINDOW_EXPIRED.name: Explanation(
        "It could not be delivered within 24 hours.",
        "See what the destination waited for, then redeliver it where the platform still takes its age.",
    ),
    DropReason.DESTINATION_REMOVED.name: Explanation(
        "Its destination was removed while it waited.", "Create the destination again, then redeliver."
    ),
    DropReason.ERASED.name: Explanation("The person was erased while it waited.", "Nothing to do: the event goes too."),
    DropReason.SUPPRESSED.name: Explanation(
        "The person was erased before, and is to be left alone.",
        "Nothing to do. Where the person has changed their mind, lift the suppression: it counts for events from then on.",
    ),
    "invalid_grant": Explanation(
        "The refresh token was revoked or has expired.",
        "Connect the account again and set the new refresh token on the destination.",
    ),
    "invalid_client": Explanation(
        "The client id or client secret is wrong.", "Compare them with the OAuth client in the platform's console."
    ),
    "invalid_key": Explanation(
        "The service account's key is not usable.", "Set the JSON key as it was downloaded, whole."
    ),
    "TRACKLAYER_ERROR": Explanation(
        "TrackLayer failed to map this event. That is our fault, not yours.",
        "It is tried again by itself. The operator finds the trace in the log.",
    ),
    INTERCEPTED: Explanation(
        "Something between TrackLayer and the platform answered in its place: a proxy, a firewall or a sign-in page.",
        "The operator lets TrackLayer's requests through to the platform's address. It is tried again by itself.",
    ),
    NOTED: Explanation(
        "The platform took the event and said something about it.",
        "Read its words; what they name is mended at the source for the next events. Nothing is sent again.",
    ),
    INTERFACE_VERSION: Explanation(
        "The platform took the event, and says that the version of its interface that was asked for ends or has ended.",
        "Where the destination's settings name a version, take it out; else the operator updates TrackLayer.",
    ),
    "unconfirmed": Explanation(
        "The platform answered without confirming every event.", "Nothing to do: it is sent again with the same id."
    ),
}


@dataclass(frozen=True)
class Explained:
    """``code`` as the platform gave it; ``docs_path`` is the platform's page on this server."""

    code: str
    summary: str
    next_step: str
    field: str | None
    docs_path: str


def explain(platform: str, error_code: str | None, drop_reason: str | None = None) -> Explained | None:
    """None where nothing went wrong. An unknown code is kept as it is, and said to be unknown."""
    code = error_code or (drop_reason.upper() if drop_reason else None)
    if code is None:
        return None
    catalogue = mapper_for(platform).explanations
    found = catalogue.get(code) or OWN.get(code) or catalogue.get(code.partition("/")[0])
    if found is None:
        found = Explanation(
            f"{mapper_for(platform).title} gave a code that its documentation, as TrackLayer knows it, does not name.",
            "Read the platform's message beside it, and compare the payload with the platform's page.",
        )
    return Explained(code, found.summary, found.next_step, found.field, docs_path(platform))


def explain_delivery(
    platform: str, status: str, error_code: str | None, drop_reason: str | None, attempts: Sequence[Mapping[str, Any]]
) -> Explained | None:
    """What a delivery's last refusal means; of a delivered one what the platform noted as it took it, None where that is nothing.

    ``attempts``: as its row keeps them, oldest first; processes of earlier versions wrote no notes.
    """
    if status != DeliveryStatus.DELIVERED:
        return explain(platform, error_code, drop_reason)
    taken = [one for one in attempts if one["outcome"] == AttemptOutcome.ACKNOWLEDGED]
    return explain(platform, taken[-1].get("code") or NOTED) if taken and taken[-1].get("note") else None


def docs_path(platform: str) -> str:
    return f"/docs/platforms-{platform.replace('_', '-')}"
