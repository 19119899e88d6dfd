"""What befell deliveries, the worst first, each kind with one sentence on what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracklayer.db.delivery_groups import GroupRow
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import (
    CONSENT_MISSING,
    MAYBE_REFUND,
    NO_REFUND,
    DeliveryStatus,
    DestinationState,
    DropReason,
    may_redeliver,
)
from tracklayer.domain.health import CREDENTIALS_REFUSED
from tracklayer.services.explain import Explained, explain

# What is lost unless somebody acts, before what is lost anyhow, before what is as it should be.
_RANKS = {
    DropReason.RETRIES_EXHAUSTED: 1,
    DropReason.WINDOW_EXPIRED: 1,
    DropReason.DESTINATION_REMOVED: 1,
    DropReason.INVALID_FIELD: 3,
    DropReason.MISSING_IDENTIFIERS: 3,
    DropReason.EVENT_TOO_OLD: 3,
    DropReason.UNSUPPORTED_EVENT: 4,
    DropReason.CONSENT_DENIED: 5,
    DropReason.ERASED: 5,
    DropReason.SUPPRESSED: 5,
}
_HELD, _FAILED, _WAITING = 0, 2, 6

_DO = {
    DropReason.RETRIES_EXHAUSTED: "Five attempts failed: mend the cause, then redeliver them.",
    DropReason.WINDOW_EXPIRED: "They waited for 24 hours: see what kept them, then redeliver what the platform still takes.",
    DropReason.DESTINATION_REMOVED: "Set the destination up again, then redeliver them.",
    DropReason.INVALID_FIELD: "Send the field with the next events; redeliver these only where a setting of the destination "
    "was at fault.",
    DropReason.MISSING_IDENTIFIERS: "Send more identifiers with the next events: without them nobody can be matched.",
    DropReason.EVENT_TOO_OLD: "Send events sooner: the platform takes these no more, and no redelivery helps.",
    DropReason.UNSUPPORTED_EVENT: "Leave the name out of the destination's event names; or, where it is no refund's, map it in the "
    "settings and redeliver them.",
    DropReason.CONSENT_DENIED: "Nothing to do: these people refused the use of their data for ads.",
    DropReason.ERASED: "Nothing to do: these people were erased, and these go with them.",
    DropReason.SUPPRESSED: "Nothing to do: these people were erased before, and are to be left alone.",
}
_DO_FAILED = "They are tried again by themselves: mend the cause, and the next attempt takes them along."
_DO_HELD = "They go out by themselves once the destination is well again; what has waited for 24 hours is dropped."
_DO_RENEW = (
    "Set new credentials on the destination: then they go out by themselves; what has waited for 24 hours is dropped."
)
_DO_PAUSED = "They go out once you resume the destination; what has waited for 24 hours is dropped."
_DO_OURS = "TrackLayer itself failed: it tries again, and the operator finds the trace in the log."
_DO_WAITING = "Nothing to do: they are on their way."
_DO_BY_CODE = {
    CONSENT_MISSING: "Send consent.adUserData with the next events, GRANTED or DENIED as the person chose; redeliver these only where"
    " you need not ask, once the consent rule says so.",
    NO_REFUND: "Leave the name out of the destination's event names, and map it nowhere: each refund would count as one more sale.",
    MAYBE_REFUND: "Where these are refunds, leave the name out of the destination's event names; only where they are none, map it in "
    "the settings and redeliver them.",
}
_OURS = "TRACKLAYER_ERROR"


@dataclass(frozen=True, slots=True)
class Group:
    """``is_held``: their destination is paused or held. ``may_redeliver``: a new series of attempts could help."""

    row: GroupRow
    is_held: bool
    explained: Explained | None
    what_to_do: str
    may_redeliver: bool


def groups_of(found: Sequence[GroupRow], destinations: Mapping[str, DestinationRow]) -> list[Group]:
    """The worst first: what is about to be lost, then what was and can be redelivered; then the larger, then the newer."""
    return sorted((_group(row, destinations.get(row.platform)) for row in found), key=_order)


def _group(row: GroupRow, destination: DestinationRow | None) -> Group:
    state = DestinationState(destination.state) if destination is not None else DestinationState.ACTIVE
    is_waiting = row.status != DeliveryStatus.DROPPED
    is_held = is_waiting and state is not DestinationState.ACTIVE
    explained = explain(row.platform, row.code, row.drop_reason)
    return Group(
        row,
        is_held,
        explained,
        _what_to_do(row, destination if is_held else None),
        may_redeliver(row.status, row.drop_reason),
    )


def _what_to_do(row: GroupRow, holder: DestinationRow | None) -> str:
    """``holder``: the destination that keeps them back."""
    if row.drop_reason is not None:
        return _DO_BY_CODE.get(row.code or "") or _DO[DropReason(row.drop_reason)]
    if holder is not None:
        if holder.state == DestinationState.PAUSED:
            return _DO_PAUSED
        return _DO_RENEW if (holder.state_reason or "").startswith(CREDENTIALS_REFUSED) else _DO_HELD
    if row.code == _OURS:
        return _DO_OURS
    return _DO_FAILED if row.status == DeliveryStatus.FAILED else _DO_WAITING


def _order(group: Group) -> tuple[int, int, float, str, str]:
    row = group.row
    if row.drop_reason is not None:
        rank = _RANKS[DropReason(row.drop_reason)]
    elif group.is_held:
        rank = _HELD
    else:
        rank = _FAILED if row.status == DeliveryStatus.FAILED or row.code is not None else _WAITING
    return rank, -row.count, -row.newest_queued_at.timestamp(), row.platform, row.code or ""
