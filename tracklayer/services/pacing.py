"""How fast what is sent again, or late, gets into the queues, and what came of it so far: whoever puts it there keeps to this."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from tracklayer.db import redeliveries as db
from tracklayer.db.redeliveries import Key, RedeliveryRow
from tracklayer.domain.channel import EventTopic
from tracklayer.domain.node_id import node_id
from tracklayer.services.channels import note_event
from tracklayer.services.ingest import Wake
from tracklayer.services.refusals import reason_and_field, tally

PAGE = 1000  # deliveries of one transaction
APART = timedelta(milliseconds=1)  # from one delivery's due time to the next: a thousand a second and destination
AHEAD = timedelta(seconds=5)  # of its due times: what is queued too early would run out of its 24 hours waiting
BEHIND = timedelta(seconds=2)  # a destination that is so late gets no more to do: fresh events must not wait
LOOK_AGAIN = timedelta(seconds=1)
PATIENCE = timedelta(minutes=1)  # for a destination that is late: then one page is done all the same, so that all end
LOOK_SECONDS = 8.0  # of a dry run. A page that it has begun may take as long as any read


class Again(NamedTuple):
    """When a delivery is due again, and whether the platform may count it twice then."""

    at: datetime
    may_be_doubled: bool


@dataclass
class Redelivered:
    """``refused``: reason, and field where there is one, -> how many; ``examples``: the event id of one of those.

    ``job``: does the rest; None where there is none. ``complete``: whether all that match were looked at.
    ``due``: when deliveries that existed before are due again, or would be: of the first page of them.
    ``at_risk``: how many of what this call queued, or would, the platform may count twice.
    """

    matched: int = 0
    requeued: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wake: set[Wake] = field(default_factory=set)
    job: RedeliveryRow | None = None
    examples: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    due: dict[Key, datetime] = field(default_factory=dict)
    at_risk: int = 0

    def queue(self, key: Key, again: Again) -> None:
        self.requeued += 1
        self.at_risk += again.may_be_doubled
        if len(self.due) < PAGE:
            self.due[key] = again.at

    def refuse(self, reason: str, event_id: str, about: str | None = None) -> None:
        tally(self.refused, self.examples, reason, event_id, about)


def so_far(job: RedeliveryRow) -> Redelivered:
    """What a job has come to until now."""
    return Redelivered(job.matched, job.requeued, Counter(job.refused), job=job, examples=dict(job.examples))


def must_wait(job: RedeliveryRow, now: datetime) -> bool:
    """Whether a destination of a job has enough to do: then the job is put off, in this transaction that holds it."""
    if now - job.last_page_at >= PATIENCE:
        return False
    if not db.is_any_behind(job.merchant_id, [*job.booked], now - BEHIND, now):
        return False
    db.postpone(job.merchant_id, job.redelivery_id, now + LOOK_AGAIN)
    return True


def book(result: Redelivered, now: datetime) -> None:
    """Writes to the job what was done, and when it is its turn again."""
    job = result.job
    if job is None:
        return
    job.matched, job.requeued, job.refused = result.matched, result.requeued, dict(result.refused)
    job.examples = result.examples
    job.last_page_at = now
    job.next_page_at = max([now, *(at - AHEAD for at in job.booked.values())])
    db.save_redelivery(job)


def tell_end(job: RedeliveryRow, now: datetime) -> None:
    """Writes down, in the transaction in which a job ends, what the channels that listen are told of it."""
    done = (
        f"{job.requeued:,} of {job.matched:,} deliveries are queued again."
        if job.stored is None
        else f"{job.requeued:,} of {job.matched:,} stored events have a delivery to {job.stored.platform} now."
    )
    refused = [(*reason_and_field(key), count, job.examples.get(key)) for key, count in sorted(job.refused.items())]
    data = {
        "message": done,
        "redelivery": node_id("Redelivery", job.merchant_id, job.redelivery_id),
        "requested_at": job.requested_at,
        "finished_at": now,
        "matched": job.matched,
        "requeued": job.requeued,
        "refused": [
            {"reason": reason, "field": field, "count": count, "example_event_id": example}
            for reason, field, count, example in refused
            if count
        ],
    }
    note_event(job.merchant_id, EventTopic.REDELIVERED, data, now)
