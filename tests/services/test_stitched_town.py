"""The town of ``tests.domain.world``, a smaller one, with what is known in PostgreSQL."""

from __future__ import annotations

from datetime import datetime

from tests.domain.world import RETENTION, Memory, run
from tests.factories import Merchant
from tracklayer.db import enrichments
from tracklayer.db import identities as db
from tracklayer.db.connection import in_transaction, rows
from tracklayer.db.enrichments import Decision, Wanted
from tracklayer.db.identities import Link, Shown
from tracklayer.domain.event import Event
from tracklayer.domain.normalise import Matchable
from tracklayer.domain.stitching import MOST_BROWSERS, MOST_PEOPLE, MOST_VALUES, Browser, Known, Stitched, is_somebodys


class Stored(Memory):
    """Kept in the tables as well, and known from there alone."""

    def __init__(self, merchant_id: int) -> None:
        super().__init__()
        self.merchant_id = merchant_id

    def show(self, browser: str, kind: str, value: str, at: datetime) -> None:
        super().show(browser, kind, value, at)
        with in_transaction():
            db.show(self.merchant_id, [Shown(browser, kind, value, at)])

    def link(self, browser: str, email: Matchable, at: datetime) -> None:
        super().link(browser, email, at)
        digest = email.email_sha256("basic") or ""
        if is_somebodys(email):
            with in_transaction():
                db.link_people(self.merchant_id, [Link(browser, "email", digest, {"basic": digest}, at)], at)

    def note(self, event_id: str, digest: str, at: datetime) -> None:
        super().note(event_id, digest, at)
        with in_transaction():
            enrichments.store_decisions(self.merchant_id, [Decision(event_id, Stitched(), digest, "Purchase", at)], at)

    def known(self, event: Event, now: datetime) -> Known:
        own = event.user_data
        person = own.email.email_sha256("basic") if own.email is not None and own.browser_id is None else None
        if own.browser_id is None and person is None:
            return Known()
        with in_transaction():
            wanted = [Wanted(event.event_id, own.browser_id, (person,) if person is not None else ())]
            found = enrichments.look_up(self.merchant_id, wanted, RETENTION, now)
        if own.browser_id is not None:
            return Known(found.browsers.get(own.browser_id))
        browsers = [found.browsers.get(one, Browser(one)) for one in found.seen_with.get(person or "", ())]
        return Known(None, browsers, person, found.events_today.get(person or "", 0))


def test_the_tables_know_what_the_rules_expect(merchant: Merchant) -> None:
    pure = run(people=20, days=15, seed=5)
    stored = run(people=20, days=15, seed=5, memory=Stored(merchant.merchant_id))
    assert stored.fields > 300
    assert (stored.expected_clicks, stored.found_clicks, stored.fields) == (
        pure.expected_clicks,
        pure.found_clicks,
        pure.fields,
    )
    assert (stored.wrong, stored.through_many, stored.overwritten, stored.with_consent_denied) == (pure.wrong, 0, 0, 0)
    with in_transaction():
        bounds = [
            rows("SELECT max(n) FROM (SELECT count(*) AS n FROM browser_signals GROUP BY browser_id, kind) AS s"),
            rows("SELECT max(n) FROM (SELECT count(*) AS n FROM browser_people GROUP BY browser_id) AS s"),
            rows("SELECT max(n) FROM (SELECT count(*) AS n FROM browser_people GROUP BY digest) AS s"),
        ]
    kept = [found[0][0] for found in bounds]
    assert all(
        count <= most for count, most in zip(kept, (MOST_VALUES, MOST_PEOPLE + 1, MOST_BROWSERS + 2), strict=True)
    )
