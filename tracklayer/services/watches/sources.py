"""Whether destinations take events from where they happen: an app's need settings that a web shop's do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracklayer.db import sources as db
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.monitors.source_not_taken import advise_on_sources
from tracklayer.mappers import mapper_for
from tracklayer.services.watches.advising import WITHIN, OnDestinations
from tracklayer.services.watches.page import Page


class Sources(OnDestinations):
    code = AdviceCode.SOURCE_NOT_TAKEN

    def judging(self, page: Page, merchant_ids: Sequence[int]) -> Callable[[int, str], Advice | None]:
        dropped = db.not_taken_sources(merchant_ids, page.now, WITHIN)

        def judge(merchant_id: int, platform: str) -> Advice | None:
            by_platform, is_all = dropped.get(merchant_id, ({}, True))
            title = mapper_for(platform).title
            return advise_on_sources(platform, title, by_platform.get(platform, ()), is_all=is_all, now=page.now)

        return judge
