"""Which share of events carries which identifier, as callers see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import strawberry
from graphql import GraphQLError

from tracklayer.db.coverage import MOST_NAMES
from tracklayer.domain.coverage import Coverage, coverage_of
from tracklayer.domain.spelling import spelt
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.schema.access import READ
from tracklayer.schema.enums import Platform
from tracklayer.schema.scalars import JSON, as_int

MOST_ROWS = MOST_NAMES * (len(PLATFORMS) + 1)
LONGEST = timedelta(days=90)
LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
HOUR = timedelta(hours=1)


@strawberry.type(
    description="What events of one name carry that tells who the person is: of what one platform uses, or, where "
    "platform is null, of all identifiers."
)
class CoverageRow:
    event_name: str = strawberry.field(metadata=READ, description="The name of the events; `*`: further names.")
    platform: Platform | None = strawberry.field(
        metadata=READ, description="The platform whose identifiers are told; null: all identifiers."
    )
    events: int = strawberry.field(
        metadata=READ,
        description="New events that arrived, without repeats, and without those of people who denied consent or were erased "
        "and are left alone.",
    )
    identifiers: JSON = strawberry.field(
        metadata=READ,
        description="Identifier -> share, 0 to 1, of these events that bring it themselves; what was malformed, or is of no use to "
        "any platform, is missing.",
    )
    enriched: JSON = strawberry.field(
        metadata=READ,
        description="Identifier -> share, 0 to 1, of these events that did not bring it and got it by identity stitching, which "
        "is decided before an event is first sent; what none of them got is missing. `enrichment` of an event says what was "
        "added to it.",
    )
    any_strong: float = strawberry.field(
        metadata=READ,
        description="Share, 0 to 1, of these events with an email, a phone, an externalId or a click id (of those that "
        "the platform uses).",
    )


def coverage_range(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Whole hours. Raises GraphQLError for a range that is none, or too long."""
    if until <= since:
        raise GraphQLError("until must be after since.", extensions={"code": "BAD_USER_INPUT"})
    if until - since > LONGEST:  # before anything is added: the last hour of all time has none behind it
        raise GraphQLError("The range is longer than 90 days.", extensions={"code": "BAD_USER_INPUT"})
    begin = since.replace(minute=0, second=0, microsecond=0)
    end = until.replace(minute=0, second=0, microsecond=0)
    return begin, end if end == until or until > LAST else end + HOUR


def coverage_rows(
    facts: Mapping[str, Mapping[int, int]], enriched: Mapping[str, Mapping[int, int]], platforms: Sequence[str]
) -> list[CoverageRow]:
    """By name, the merchant's row before those of the platforms. ``facts`` and ``enriched``: what events brought and got."""
    rows = []
    for name, brought in facts.items():
        added = enriched.get(name, {})
        rows.append(_row(name, None, coverage_of(brought, added)))
        rows += [
            _row(name, platform, coverage_of(brought, added, mapper_for(platform).identifiers))
            for platform in platforms
        ]
    return rows


def _row(name: str, platform: str | None, found: Coverage) -> CoverageRow:
    return CoverageRow(
        event_name=name,
        platform=Platform(platform) if platform else None,
        events=as_int(found.events),
        identifiers=JSON({spelt(each): share for each, share in found.shares.items()}),
        enriched=JSON({spelt(each): share for each, share in found.enriched.items()}),
        any_strong=found.any_strong,
    )
