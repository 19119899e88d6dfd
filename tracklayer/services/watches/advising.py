"""Looks that advise on destinations: at a few merchants of a page each time, whoever was looked at longest ago first."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from tracklayer.db import advice as db_advice
from tracklayer.db import quality as db_quality
from tracklayer.db.advice import Judged
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.mappers import PLATFORMS
from tracklayer.services.watches.memory import MERCHANTS as MOST_REMEMBERED
from tracklayer.services.watches.memory import Remembered
from tracklayer.services.watches.page import Page, Verdicts

WITHIN = timedelta(days=1)
EVERY = timedelta(minutes=10)  # at one merchant
MERCHANTS = 5  # of a page by one look: of each, thousands of deliveries may be read
NEVER = datetime.min.replace(tzinfo=UTC)


class OnDestinations(ABC):
    """The looks of one process. It remembers whom it looked at when. It opens no alert: what it finds is advice."""

    code: AdviceCode

    def __init__(self) -> None:
        self._looked: Remembered[int, datetime] = Remembered(MOST_REMEMBERED)

    @abstractmethod
    def judging(self, page: Page, merchant_ids: Sequence[int]) -> Callable[[int, str], Advice | None]:
        """Reads what is needed of some merchants; what comes back judges a destination: merchant id, platform."""

    def __call__(self, page: Page) -> Verdicts:
        now = page.now
        due = [one for one in page.merchant_ids if now - self._looked.get(one, NEVER) >= EVERY]
        chosen = sorted(due, key=lambda one: self._looked.get(one, NEVER))[:MERCHANTS]
        if chosen:
            self._advise(page, chosen)
            self._looked.note_all(chosen, now)
        return Verdicts()

    def _advise(self, page: Page, chosen: Sequence[int]) -> None:
        shops, judge = db_quality.shops(chosen), self.judging(page, chosen)
        found: dict[int, list[Advice]] = {}
        judged: dict[int, set[Judged]] = {}
        for merchant_id, shop in shops.items():
            for platform in {place.platform for place in shop.places} & set(PLATFORMS):
                judged.setdefault(merchant_id, set()).add((platform, self.code))
                advice = judge(merchant_id, platform)
                if advice is not None:
                    found.setdefault(merchant_id, []).append(advice)
        db_advice.write_advice(found, page.now)
        db_advice.forget_advice(judged, page.now)
