"""Marks of what was erased: until when they stand, and since when somebody is left alone."""

from __future__ import annotations

from datetime import timedelta

from tests.conftest import NOW
from tests.factories import Merchant
from tracklayer.db.connection import in_transaction
from tracklayer.db.marks import (
    add_suppressions,
    add_tombstones,
    are_all_suppressed,
    let_back,
    purge_tombstones,
    remove_suppressions,
    with_tombstone,
)

MARK, OTHER = b"m" * 32, b"o" * 32
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_tombstone_stands_until_the_latest_instant_that_was_asked_for(merchant: Merchant) -> None:
    """Whichever erasure came last: an event that would come again until then stays away."""
    merchant_id = merchant.merchant_id
    with in_transaction():
        add_tombstones(merchant_id, {MARK: NOW + 30 * DAY, OTHER: NOW + DAY})
        add_tombstones(merchant_id, {MARK: NOW + DAY, OTHER: NOW + 30 * DAY})
        assert purge_tombstones(NOW + 2 * DAY, 100) == 0
        assert with_tombstone(merchant_id, [MARK, OTHER]) == {MARK, OTHER}
        assert purge_tombstones(NOW + 31 * DAY, 100) == 2


def test_whoever_was_let_back_and_is_left_alone_again_is_so_since_then(merchant: Merchant) -> None:
    """An erasure that goes on from before would else take away what came while the person was back."""
    merchant_id = merchant.merchant_id
    with in_transaction():
        add_suppressions(merchant_id, {MARK: None, OTHER: None}, NOW)
        add_suppressions(merchant_id, {MARK: None}, NOW + HOUR)  # said twice: since the first time
        assert let_back(merchant_id, [(MARK, NOW), (OTHER, NOW)]) == set()
        assert remove_suppressions(merchant_id, [MARK], [MARK]) == 1
        assert let_back(merchant_id, [(MARK, NOW), (OTHER, NOW)]) == {0}
        add_suppressions(merchant_id, {MARK: None}, NOW + DAY)
        assert let_back(merchant_id, [(MARK, NOW), (OTHER, NOW), (MARK, NOW + DAY)]) == {0}
        assert not are_all_suppressed(merchant_id, [MARK, OTHER], NOW)
        assert are_all_suppressed(merchant_id, [MARK, OTHER], NOW + DAY)
