"""Why events were refused at the door, as callers see it."""

from __future__ import annotations

import strawberry

from tracklayer.db.coverage import Refusals
from tracklayer.domain.monitors.refused_requests import meaning_of
from tracklayer.domain.problem import CODES
from tracklayer.schema.access import READ
from tracklayer.schema.inputs import dotted_path
from tracklayer.schema.scalars import as_int

MOST_ROWS = 100


@strawberry.type(
    description="Events of one name that were refused for one reason when they were sent. Nothing of them is stored: the "
    "answer to whoever sent them names each."
)
class RejectionRow:
    code: str = strawberry.field(metadata=READ, description="The code of the first thing that was wrong.")
    field: str | None = strawberry.field(
        metadata=READ,
        description="The field that it is about; `*`: further fields; `request`, or `key` and its id: the whole request; null: about none.",
    )
    event_name: str = strawberry.field(
        metadata=READ, description="The name of the events; `*`: further names, or none that could be read."
    )
    count: int = strawberry.field(metadata=READ, description="How many were refused.")
    meaning: str | None = strawberry.field(metadata=READ, description="What the code means.")
    next_step: str | None = strawberry.field(metadata=READ, description="What to do about it.")


def rejection_row(found: Refusals) -> RejectionRow:
    known = meaning_of(found.code, found.field) or CODES.get(found.code)
    return RejectionRow(
        code=found.code,
        field=dotted_path(found.field.split(".")) if found.field else None,
        event_name=found.event_name,
        count=as_int(found.events),
        meaning=known.meaning if known else None,
        next_step=known.what_to_do if known else None,
    )
