"""Whether platforms say something of much that they take: a delivery of its own tells only whoever looks at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tracklayer.db import advice as db_advice
from tracklayer.db import notes as db
from tracklayer.db import quality as db_quality
from tracklayer.db.advice import Judged
from tracklayer.domain.advice import Advice, AdviceCode
from tracklayer.domain.monitors.taken_with_notes import advise_on_notes
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.services.explain import explain
from tracklayer.services.watches.memory import MERCHANTS as MOST_REMEMBERED
from tracklayer.services.watches.memory import Remembered
from tracklayer.services.watches.page import Page, Verdicts

WITHIN = timedelta(days=1)
EVERY = timedelta(minutes=10)  # at one merchant
MERCHANTS = 5  # of a page by one look: of each, a thousand deliveries may be read
NEVER = datetime.min.replace(tzinfo=UTC)


class Notes:
    """The looks of one process. It remembers whom it looked at when. It opens no alert: what it finds is advice."""

    def __init__(self) -> None:
        self._looked: Remembered[int, datetime] = Remembered(MOST_REMEMBERED)

    def __call__(self, page: Page) -> Verdicts:
        now = page.now
        due = [one for one in page.merchant_ids if now - self._looked.get(one, NEVER) >= EVERY]
        chosen = sorted(due, key=lambda one: self._looked.get(one, NEVER))[:MERCHANTS]
        if chosen:
            self._advise(page, chosen)
            self._looked.note_all(chosen, now)
        return Verdicts()

    def _advise(self, page: Page, chosen: list[int]) -> None:
        noted = db.notes_of(chosen, page.now, WITHIN)
        found: dict[int, list[Advice]] = {}
        judged: dict[int, set[Judged]] = {}
        for merchant_id, shop in db_quality.shops(chosen).items():
            for platform in {place.platform for place in shop.places} & set(PLATFORMS):
                judged.setdefault(merchant_id, set()).add((platform, AdviceCode.TAKEN_WITH_NOTES))
                said = noted.get(merchant_id, {}).get(platform)
                explained = explain(platform, said.code) if said is not None else None
                if said is None or explained is None:
                    continue
                title = mapper_for(platform).title
                advice = advise_on_notes(platform, title, said, explained.next_step, page.now)
                if advice is not None:
                    found.setdefault(merchant_id, []).append(advice)
        db_advice.write_advice(found, page.now)
        db_advice.forget_advice(judged, page.now)
