"""Why events and deliveries are not sent, counted: by reason and field, with one event id of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from datetime import datetime

from tracklayer.db.events import EventRow
from tracklayer.db.models import DestinationRow
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.stitching import Stitched, enriched
from tracklayer.mappers.base import Mapper, Refused, Settings
from tracklayer.mappers.outgoing import NO_PLACE, map_event, show_event
from tracklayer.runtime import Runtime
from tracklayer.sealing import SealError
from tracklayer.services import persist
from tracklayer.services.alone import tell_fault

MOST_WITH_FIELD = 10  # groups that name a field; what comes then is counted by its reason alone, of which there are few
UNKNOWN_ID = "unknown id"
IN_HANDS = "being delivered at this moment"
TOO_OLD = "too old for the platform"
FILTERED = "filtered by the destination's event names"
HAS_ONE = "has a delivery there already"
PURGED = "its event was purged"
REMOVED = "its destination was removed"
SEALED = "sealed with a key that TrackLayer lacks"
INTERNAL = "INTERNAL"  # TrackLayer's own fault
FIELDS = {TOO_OLD: "occurred_at", FILTERED: "event_name"}  # reason -> the field of the event that it is about


def tally(
    refused: MutableMapping[str, int],
    examples: MutableMapping[str, str],
    reason: str,
    event_id: str,
    field: str | None = None,
) -> None:
    """Counts one more. A field that always goes with its reason is left out."""
    key = f"{reason}/{field}" if field else reason
    if field and key not in refused and sum("/" in known for known in refused) >= MOST_WITH_FIELD:
        key = reason
    refused[key] = refused.get(key, 0) + 1
    examples.setdefault(key, event_id)


def reason_and_field(key: str) -> tuple[str, str | None]:
    """What ``tally`` counted by."""
    reason, _, field = key.partition("/")
    return reason, field or FIELDS.get(reason)


def is_taken(event_names: list[str] | None, event_name: str) -> bool:
    """Whether a destination takes events of a name."""
    return event_names is None or event_name in event_names


def why_not_sent(
    runtime: Runtime,
    row: DestinationRow,
    mapper: Mapper,
    settings: Settings,
    event: EventRow,
    as_of: datetime,
    added: Stitched | None = None,
    no_place: Counter[str] | None = None,
) -> tuple[str, str | None] | None:
    """Why a destination would get nothing of a stored event at an instant: reason, and field; None: it would get it.

    ``added``: what was, or would be, added to it. ``no_place``: counts the fields of an event that is sent that stay here, where
    somebody asks for them. It never raises: a key that is lost is SEALED, as deliveries wait for it; any
    other fault is told, and INTERNAL.
    """
    if persist.is_left_alone(event):
        return DropReason.SUPPRESSED.name, None
    try:
        found = persist.to_event(event, runtime.sealer)
        if added is not None:
            found = enriched(found, added.fields)
        look = map_event if no_place is None else show_event
        mapped = look(mapper, found, settings, as_of)
    except SealError:  # the operator knows: each role says so at its start, and `doctor`
        return SEALED, None
    except Exception as error:  # noqa: BLE001 - it is logged, without its words
        tell_fault(runtime, f"mapping a stored event for {row.platform}", error, (event.merchant_id, event.event_id))
        return INTERNAL, None
    if isinstance(mapped, Refused):
        return mapped.reason.name, mapped.field
    if no_place is not None:
        no_place.update(verdict.field for verdict in mapped.verdicts if verdict.rule == NO_PLACE and verdict.field)
    return None
