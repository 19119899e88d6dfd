"""Advice on what a platform says again and again of events that it takes, such as that it took requests only in part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.monitors.words import counted, ended

LEAST = 10  # deliveries with a note
SHARE = 0.2  # of those that were looked at


@dataclass(frozen=True, slots=True)
class Noted:
    """Of the ``taken`` newest deliveries that a platform took within a day, ``noted`` came with a note. The others are of the
    newest of these: its words, their code, and its event.
    """

    taken: int
    noted: int
    note: str
    code: str
    example: str


def advise_on_notes(platform: str, title: str, found: Noted, next_step: str, now: datetime) -> Advice | None:
    """``next_step``: what the code's explanation says."""
    if found.noted < LEAST or found.noted < SHARE * found.taken:
        return None
    return Advice(
        AdviceCode.TAKEN_WITH_NOTES,
        f"Of the last {counted(found.taken, 'event')} that {title} took within a day, {found.noted:,} came with a note, such as: "
        f"{ended(found.note)} They count as delivered.",
        next_step,
        now,
        platform,
        count=found.noted,
        example_event_id=found.example,
        details={"code": found.code, "note": found.note, "taken": found.taken},
    )
