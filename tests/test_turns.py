from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.conftest import NOW
from tracklayer import turns
from tracklayer.turns import ROOM, SHARE, Turns

FRESH, BACKLOG, OTHER = (1, "meta"), (2, "meta"), (3, "tiktok")
PATIENCE = 20.0


@pytest.fixture
def line() -> Turns:
    made = Turns()
    for destination in (BACKLOG, OTHER):
        made.of(destination).claimed(SHARE, SHARE, 0)
    return made


def in_thread(line: Turns, destination: tuple[int, str], done: threading.Event, hold: threading.Event) -> None:
    def work() -> None:
        with line.of(destination).work():
            done.set()
            hold.wait(PATIENCE)

    threading.Thread(target=work, daemon=True).start()


def test_a_full_share_is_a_backlog_and_a_claim_that_is_not_full_ends_it() -> None:
    line = Turns()
    turn = line.of(FRESH)
    turn.claimed(25, 25, 0)
    assert not line.is_behind(FRESH)
    for _ in range(3):
        turn.claimed(25, 25, 0)
    assert line.is_behind(FRESH)
    assert line.of(FRESH).limit(1000) == 1000
    turn.claimed(24, 25, 0)
    assert not line.is_behind(FRESH)
    assert line.of(FRESH).limit(1000) == SHARE


def test_a_claim_begins_behind_the_last_full_one_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Turns()
    first, second = NOW, NOW + timedelta(seconds=1)
    assert line.reached(BACKLOG) is None
    line.note_reached(BACKLOG, None, first)
    assert line.reached(BACKLOG) == first
    assert line.reached(OTHER) is None
    began = line._reached[BACKLOG][0]
    line.note_reached(BACKLOG, first, second)
    assert line.reached(BACKLOG) == second
    assert line._reached[BACKLOG][0] == began, "it is not put off by claims that do not begin at the beginning"
    monkeypatch.setattr(turns, "LOOK_BACK_SECONDS", -1.0)
    assert line.reached(BACKLOG) is None
    line.note_reached(BACKLOG, None, None)
    assert not line._reached


def test_a_backlog_takes_less_at_once_while_others_have_something_to_do(line: Turns) -> None:
    assert line.of(BACKLOG).limit(1000) == 1000
    with line.of(FRESH).work():
        assert line.of(BACKLOG).limit(1000) == SHARE
        assert line.of(BACKLOG).limit(25) == 25
    assert line.of(BACKLOG).limit(1000) == SHARE, "others were busy a moment ago"


def test_the_work_of_a_backlog_makes_nobody_busy(line: Turns) -> None:
    with line.of(BACKLOG).work():
        assert line.of(OTHER).limit(1000) == 1000


def test_a_backlog_waits_for_whoever_keeps_up(line: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "STEP_ASIDE_SECONDS", PATIENCE)
    begun, hold = threading.Event(), threading.Event()
    with line.of(FRESH).work():
        in_thread(line, BACKLOG, begun, hold)
        assert not begun.wait(0.2)
    assert begun.wait(PATIENCE)
    hold.set()


def test_a_backlog_is_never_stopped_for_good(line: Turns) -> None:
    begun, hold = threading.Event(), threading.Event()
    with line.of(FRESH).work():
        in_thread(line, BACKLOG, begun, hold)
        assert begun.wait(PATIENCE)
    hold.set()


def test_one_backlog_works_at_a_time_while_others_are_busy(line: Turns) -> None:
    with line.of(FRESH).work():
        pass
    first, second, hold = threading.Event(), threading.Event(), threading.Event()
    in_thread(line, BACKLOG, first, hold)
    assert first.wait(PATIENCE)
    in_thread(line, OTHER, second, hold)
    assert not second.wait(0.2)
    hold.set()
    assert second.wait(PATIENCE)


def test_who_keeps_up_waits_for_nobody(line: Turns) -> None:
    with line.of(FRESH).work():
        pass
    begun, hold, fresh = threading.Event(), threading.Event(), threading.Event()
    in_thread(line, BACKLOG, begun, hold)
    assert begun.wait(PATIENCE)
    in_thread(line, FRESH, fresh, hold)
    assert fresh.wait(PATIENCE)
    hold.set()


def test_one_that_turns_out_to_be_a_backlog_was_not_fresh() -> None:
    line = Turns()
    turn = line.of(BACKLOG)
    with turn.work():
        turn.claimed(SHARE, SHARE, 0)
    assert turn.limit(1000) == 1000


def test_two_backlogs_at_most_are_at_work_at_once() -> None:
    line, hold = Turns(), threading.Event()
    begun = []
    for merchant in range(3):
        line.of((merchant, "meta")).claimed(SHARE, SHARE, 0)
    for merchant in range(2):
        begun.append(threading.Event())
        in_thread(line, (merchant, "meta"), begun[-1], hold)
        assert begun[-1].wait(PATIENCE)
    third = threading.Event()
    in_thread(line, (2, "meta"), third, hold)
    assert not third.wait(0.2)
    hold.set()
    assert third.wait(PATIENCE)


def test_of_large_events_fewer_are_claimed_and_of_small_ones_as_many_as_ever() -> None:
    turns = Turns()
    turn = turns.of((1, "meta"))
    turn.claimed(SHARE, SHARE, SHARE * 256 * 1024)
    assert turns.of((1, "meta")).limit(1000) == ROOM // (256 * 1024)
    assert turns.of((2, "meta")).limit(1000) == SHARE
    turn.claimed(SHARE, SHARE, SHARE * 1000)
    assert turns.of((1, "meta")).limit(1000) == 1000
    turn.claimed(1, 1, 2 * ROOM)
    assert turns.of((1, "meta")).limit(1000) == 1
