from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.servers import wait_until
from tracklayer import kept as module
from tracklayer.kept import Kept


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """One that tries again all the time."""
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.02))
    return Kept()


@pytest.fixture
def free() -> Iterator[threading.Event]:
    """Set once the rows are free."""
    made = threading.Event()
    yield made
    made.set()


def until_written(kept: Kept) -> None:
    wait_until(lambda: not len(kept), "what is kept to be written")


def test_it_is_tried_until_it_is_written_and_told_once(
    kept: Kept, free: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[bool] = []

    def write() -> bool:
        tries.append(free.is_set())
        return free.is_set()

    assert kept.add((1, "meta"), write)
    assert kept.add((1, "tiktok"), free.is_set)
    wait_until(lambda: len(tries) > 3, "some tries")
    free.set()
    until_written(kept)
    assert tries.count(True) == 1
    assert [record.getMessage().split(", ")[0] for record in caplog.records] == [
        "merchant 1: rows of it are locked in the database",
        "merchant 1: its rows are free again",
    ]


def test_one_whose_rows_stay_locked_is_in_nobodys_way(kept: Kept, free: threading.Event) -> None:
    for number in range(5):
        kept.add((number, "meta"), free.is_set)
    written = threading.Event()

    def write() -> bool:
        written.set()
        return True

    kept.add((9, "meta"), write)
    wait_until(written.is_set, "the other one to be written")
    assert len(kept) == 5
    free.set()
    until_written(kept)


@pytest.mark.parametrize(
    ("destinations", "much", "little"),
    [
        ([(1, "meta")] * module.OF_DESTINATION, (1, "meta"), (1, "tiktok")),
        ([(1, f"platform_{number}") for number in range(module.OF_MERCHANT)], (1, "tiktok"), (2, "meta")),
    ],
    ids=["of a destination", "of a merchant"],
)
def test_whoever_has_much_of_it_gets_no_more_and_the_others_do(
    kept: Kept,
    free: threading.Event,
    destinations: list[tuple[int, str]],
    much: tuple[int, str],
    little: tuple[int, str],
) -> None:
    for place, destination in enumerate(destinations):
        assert not kept.is_much(much), place
        kept.add(destination, free.is_set)
    assert (kept.is_much(much), kept.is_much(little)) == (True, False)
    free.set()
    until_written(kept)
    assert not kept.is_much(much)


def test_of_many_merchants_each_has_one_kept_and_beyond_the_most_nothing_is_taken(
    kept: Kept, free: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 4)
    taken: list[bool] = []
    for number in range(3):
        assert not kept.is_much((number, "meta"))
        taken.append(kept.add((number, "meta"), free.is_set))
    assert kept.is_much((0, "tiktok"))
    assert not kept.is_much((7, "meta"))
    taken += [kept.add((number, "meta"), free.is_set) for number in (7, 8)]
    assert taken == [True, True, True, True, False]
    free.set()
    until_written(kept)


def test_at_the_end_what_is_kept_is_tried_at_once_and_nothing_more_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PAUSES", (3600.0, 3600.0))
    kept = Kept()
    kept.add((1, "meta"), lambda: True)
    kept.close(30.0)
    assert len(kept) == 0
    assert kept.add((1, "meta"), lambda: True) is False
    other = Kept()
    other.add((1, "meta"), lambda: False)
    other.close(0.0)
    assert caplog.records[-1].getMessage() == "1 answers that waited for locked rows are not written"
