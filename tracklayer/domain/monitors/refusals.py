"""What a platform's rules refuse before anything is sent, in words: which field is wanting, and what helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracklayer.domain.delivery import DropReason
from tracklayer.domain.monitors.words import counted, percent
from tracklayer.domain.monitors.worth import Worth, in_sales
from tracklayer.domain.spelling import spelt


@dataclass(frozen=True, slots=True)
class Unmappable:
    """One ground of refusal. ``share``: of what was refused so of late; ``message``: the rule's; ``example``: an event's id,
    None where no such event is stored any more.

    ``event_name`` and ``action_source``: the example's. ``sent_from``: action sources from which events of this name were
    delivered there lately.
    """

    reason: DropReason
    field: str | None
    message: str
    share: float
    example: str | None
    event_name: str | None = None
    action_source: str | None = None
    sent_from: Sequence[str] = ()


CONSENT = "consent.ad_user_data"  # nobody refused: nothing was said
# Path of our Event -> what events lack, and what still saves those that were dropped.
_LACKING = {
    "event_source_url": "the page's URL",
    CONSENT: "the consent that you require, as none was sent with them",
    "user_data": "everything by which it could match a person",
    "user_data.ga_client_id": "the visitor's id that Google's tag or app kit gives",
    "custom_data.value": "a valid value",
    "custom_data.currency": "a valid currency",
    "custom_data.order_id": "an order id that it takes",
    "event_id": "an order id that it takes",
    "event_name": "a name that it takes",
    "action_source": "a source that it takes",
}
_ABSENT = {"custom_data.value": "no value", "custom_data.currency": "no currency"}
# How deliveries end that a platform refuses as often as they are sent.
REFUSED = frozenset({DropReason.RETRIES_EXHAUSTED, DropReason.WINDOW_EXPIRED})
_DEFAULTS = {"event_source_url": "default page", "custom_data.currency": "default currency"}
NOT_KNOWN = "the dropped deliveries say what each of them lacks"


def lacking(found: Unmappable) -> str:
    """``lack the page's URL (`eventSourceUrl`)``: what is wrong with many events."""
    if found.reason is DropReason.EVENT_TOO_OLD:
        return "happened longer ago than it takes (`occurredAt`)"
    if found.field is None:
        return "lack a field that it demands"
    path = spelt(found.field)
    if found.field in _ABSENT and " without " in f" {found.message} ":
        return f"have {_ABSENT[found.field]} (`{path}`)"
    return f"lack {_LACKING[found.field]} (`{path}`)" if found.field in _LACKING else f"lack a valid `{path}`"


def next_step(found: Unmappable) -> str:
    """Who must do what; a sentence or two, the first one in small letters."""
    name = f" ({found.event_name})" if found.event_name else ""
    example = f"event `{found.example}`{name} is an example" if found.example else ""
    such_as = f", {example}" if example else ""
    if found.reason is DropReason.EVENT_TOO_OLD:
        return f"whoever sends your shop's events must send them soon after they happen{such_as}. No redelivery helps these."
    if found.field == CONSENT:
        return (
            f"nobody refused. Whoever sends your shop's events must send `{spelt(CONSENT)}` with each, `GRANTED` or `DENIED` as the"
            f" person chose (`DENIED` counts as no failure){f'; {example}' if example else ''}. Where you need not ask, set the consent rule to `NEVER` (of"
            " the merchant or the destination), and redeliver what was dropped."
        )
    words = "at least one identifier" if found.field == "user_data" else "it"
    step = f"whoever sends your shop's events must add {words} now{such_as}."
    default = _DEFAULTS.get(found.field or "")
    if default is not None:
        return f"{step} Or set a {default} on the destination, and redeliver what was dropped."
    if found.reason is DropReason.MISSING_IDENTIFIERS:
        return f"{step} No redelivery helps these{_what_differs(found)}"
    return f"{step} What was dropped stays lost to this platform unless a setting mends it: then redeliver it."


def _what_differs(found: Unmappable) -> str:
    """What tells these from events of the same name that are delivered; where none are, the name is what they share."""
    if not found.sent_from:
        return "; events that never have one can be left out, by name, in the destination's settings."
    if found.action_source in found.sent_from:
        return f"; other {found.event_name} events do go out: what sends these differs."
    sources = " and ".join(f"`{source}`" for source in found.sent_from)
    return (
        f"; {found.event_name} events of action source {sources} do go out, so look at what sends those of"
        f" `{found.action_source}`."
    )


def others(found: Sequence[Unmappable], part: float) -> str:
    """The grounds behind the first one; ``part``: the share of all events that were refused so."""
    rest = [f"{percent(one.share * part)} {lacking(one)}" for one in found[1:3]]
    return f" Besides: {', '.join(rest)}." if rest else ""


def rule(found: Unmappable) -> str:
    return f' The deliveries say: "{found.message.rstrip(" .")}".' if found.message else ""


def lost(count: int, worth: Worth) -> str:
    """``1,980 events, worth 12,345.00 EUR in sales, are lost to it``."""
    money = in_sales(worth)
    return f"{counted(count, 'event')}{money}{',' if money else ''} {'is' if count == 1 else 'are'} lost to it"
