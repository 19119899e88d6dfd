"""Whether platforms say something of much that they take: a delivery of its own tells only whoever looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracklayer.db import notes as db
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.monitors.taken_with_notes import advise_on_notes
from tracklayer.mappers import mapper_for
from tracklayer.services.explain import explain
from tracklayer.services.watches.advising import WITHIN, OnDestinations
from tracklayer.services.watches.page import Page


class Notes(OnDestinations):
    code = AdviceCode.TAKEN_WITH_NOTES

    def judging(self, page: Page, merchant_ids: Sequence[int]) -> Callable[[int, str], Advice | None]:
        noted = db.notes_of(merchant_ids, page.now, WITHIN)

        def judge(merchant_id: int, platform: str) -> Advice | None:
            said = noted.get(merchant_id, {}).get(platform)
            explained = explain(platform, said.code) if said is not None else None
            if said is None or explained is None:
                return None
            return advise_on_notes(platform, mapper_for(platform).title, said, explained.next_step, page.now)

        return judge
