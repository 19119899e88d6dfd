"""What a look is made of: each watch reads a page of merchants and says what it found of which subjects.

A watch is a function from a ``Page`` to ``Verdicts``. It is called in a transaction of its own, and where it raises, for
smaller pages, until whoever it raises for stands alone: so one watch's fault costs no other watch a look, and one
merchant's no other merchant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from tracklayer.domain.alert import REOPEN_WITHIN, AlertKind, Finding, Subject
from tracklayer.runtime import Runtime

Told = tuple[datetime, datetime | None]  # opened, resolved
Lately = Mapping[tuple[int, Subject], Told]


@dataclass(frozen=True)
class Page:
    """Merchants to look at, as of ``now``. ``lately``: their alerts that are open, or were within a day.

    ``gathered``: when the open ones began that are about several names at once; they are none of ``lately``.
    """

    runtime: Runtime
    merchant_ids: Sequence[int]
    now: datetime
    lately: Lately
    gathered: Mapping[tuple[int, AlertKind], datetime] = field(default_factory=dict)

    # ``lately`` is walked once and not once a merchant: in an outage all of a page have alerts.
    @cached_property
    def _open(self) -> Mapping[int, Collection[Subject]]:
        found: dict[int, set[Subject]] = {}
        for (merchant_id, subject), (_, resolved_at) in self.lately.items():
            if resolved_at is None:
                found.setdefault(merchant_id, set()).add(subject)
        return found

    @cached_property
    def _ended(self) -> Mapping[int, Collection[Subject]]:
        found: dict[int, set[Subject]] = {}
        for (merchant_id, subject), (_, resolved_at) in self.lately.items():
            if resolved_at is not None and self.now - resolved_at < REOPEN_WITHIN:
                found.setdefault(merchant_id, set()).add(subject)
        return found

    @cached_property
    def _of_kinds(self) -> Mapping[tuple[int, AlertKind], Mapping[Subject, Told]]:
        found: dict[tuple[int, AlertKind], dict[Subject, Told]] = {}
        for (merchant_id, subject), told in self.lately.items():
            found.setdefault((merchant_id, subject.kind), {})[subject] = told
        return found

    def open_subjects(self, merchant_id: int) -> Collection[Subject]:
        return self._open.get(merchant_id, frozenset())

    def ended_subjects(self, merchant_id: int) -> Collection[Subject]:
        """Whose alert ended so shortly before that it opens again with what is found now."""
        return self._ended.get(merchant_id, frozenset())

    def same(self, merchant_id: int) -> Iterable[Subject]:
        """Of which what is found now is no new alert."""
        return (*self.open_subjects(merchant_id), *self.ended_subjects(merchant_id))

    def of_kind(self, merchant_id: int, kind: AlertKind) -> Mapping[Subject, Told]:
        """A merchant's alerts of one kind."""
        return self._of_kinds.get((merchant_id, kind), {})


@dataclass
class Verdicts:
    """By merchant: which subjects were judged, and what was found. A judged one without a finding is well."""

    findings: dict[int, list[Finding]] = field(default_factory=dict)
    judged: dict[int, set[Subject]] = field(default_factory=dict)

    def add(self, merchant_id: int, judged: Iterable[Subject], findings: Iterable[Finding] = ()) -> None:
        self.judged.setdefault(merchant_id, set()).update(judged)
        self.findings.setdefault(merchant_id, []).extend(findings)


Look = Callable[[Page], Verdicts]
