"""The shares that the guide ``fairness.md`` promises, and its numbers."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from tests.actors import fairness_simulator as town
from tests.actors.fairness_simulator import MIXES, Result, simulate
from tracklayer import turns, web
from tracklayer.actors import together
from tracklayer.actors.crew import WORKER_THREADS
from tracklayer.actors.lanes import FRESH, HOUSEKEEPERS, LAST, Lanes
from tracklayer.actors.schedule import periodic
from tracklayer.actors.waker import GATHER_SECONDS
from tracklayer.domain import health
from tracklayer.services import deliver, deliver_together, pacing, sweep
from tracklayer.settings import load_settings

GUIDE = (Path(web.__file__).parent / "docs" / "fairness.md").read_text()
ALL = WORKER_THREADS - HOUSEKEEPERS


@cache
def after(mix: str) -> Result:
    return simulate(getattr(town, mix))


def test_everybody_who_keeps_up_is_served_at_once() -> None:
    got = after("all_fresh").groups["all"]
    assert got.unserved == 0
    assert got.wait_p95 is not None
    assert got.wait_p95 < 0.2


def test_an_endless_backlog_is_not_felt_by_who_keeps_up() -> None:
    alone, beside = after("all_fresh").groups["all"].wait_p95, after("one_backlog").groups["fresh"].wait_p95
    assert alone is not None
    assert beside is not None
    assert beside < alone + 0.05
    assert after("one_backlog").most[1, "platform 0"] <= WORKER_THREADS // 4


def test_a_merchant_with_backlogs_everywhere_leaves_half_to_the_others() -> None:
    result = after("a_merchant_of_backlogs")
    assert result.most["merchant", 7] == WORKER_THREADS // 2
    wait = result.groups["fresh"].wait_p95
    assert wait is not None
    assert wait < 1.5
    assert result.groups["the merchant"].least > result.groups["the merchant"].most / 4  # and its own are served alike


@pytest.mark.parametrize("mix", ["a_platform_hangs", "a_platform_hangs_with_backlogs"])
def test_a_platform_that_hangs_leaves_half_to_the_others(mix: str) -> None:
    result = after(mix)
    assert result.most["platform", "platform 3"] <= WORKER_THREADS // 2
    fresh = result.groups["fresh"]
    assert fresh.unserved == 0
    assert fresh.wait_p95 is not None
    assert fresh.wait_p95 < 1.5


@pytest.mark.parametrize(
    "mix", ["all_backlogs", "a_slow_platform_among_backlogs", "a_platform_of_small_batches", "backlogs_and_fresh"]
)
def test_of_more_backlogs_than_lanes_each_gets_its_turn(mix: str) -> None:
    result = after(mix)
    assert result.most["all"] <= ALL
    assert result.most["backlogs"] <= ALL - FRESH
    for name, got in result.groups.items():
        assert got.unserved <= got.destinations * 0.2, name


def test_who_keeps_up_is_served_at_once_beside_five_hundred_backlogs_once_it_is_known_who_that_is() -> None:
    fresh = after("backlogs_and_fresh").groups["fresh"]
    assert fresh.unserved == 0
    assert fresh.later_p95 is not None
    assert fresh.later_p95 < 0.2


def test_small_backlogs_are_done_while_a_great_one_goes_on() -> None:
    result = after("a_great_backlog_among_small_ones")
    assert result.groups["small ones"].least == result.groups["small ones"].most == 200
    assert result.groups["the great one"].delivered > 0


def test_the_same_load_gives_the_same_shares() -> None:
    assert simulate(town.a_platform_hangs, 5) == simulate(town.a_platform_hangs, 5)


def test_there_are_ten_mixes_and_the_guide_has_a_line_for_each() -> None:
    promises = GUIDE.partition("| mix of load |")[2]
    assert len(MIXES) == 10
    assert len(re.findall(r"^\| (?!---)", promises, re.MULTILINE)) == len(MIXES)


def rule(name: str) -> str:
    """What the guide's table says of a rule."""
    (found,) = re.findall(rf"^\| {re.escape(name)} \| ([^|]*?) \|", GUIDE, re.MULTILINE)
    return str(found)


def seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}"


def test_the_numbers_of_the_guide_are_those_of_the_code() -> None:
    quarter, half, _, everybody, of_backlogs = Lanes(WORKER_THREADS)._limits(0)
    assert rule("A look at many together") == f"{deliver_together.MOST} destinations"
    assert rule("Due at one of them, to go together") == f"{deliver_together.FEW}"
    requests = max(deliver_together.MOST, WORKER_THREADS * together.REQUESTS_A_THREAD)
    of_one = f"{requests}; of one destination {together.OF_DESTINATION}"
    assert rule("Requests of those that go together") == of_one
    assert rule("Threads of a worker") == f"{WORKER_THREADS}"
    assert rule("Lanes of one destination") == f"a quarter: {quarter}"
    assert rule("Lanes of one merchant") == f"half: {half}"
    assert rule("Lanes of one platform") == f"half: {half}; of the last {LAST} none beyond a quarter"
    assert rule("Lanes of all deliveries") == f"all but {HOUSEKEEPERS}: {everybody}"
    assert rule("Lanes of all backlogs, while others are busy") == f"{FRESH} fewer: {of_backlogs}"
    assert rule("A slice") == f"{deliver.SLICE_SECONDS:g} s, or {deliver.BATCHES} batches"
    assert rule("A backlog") == f"{turns.SHARE} due at once"
    assert rule("A batch while others are busy") == f"{turns.SHARE} deliveries"
    assert rule("Busy") == f"{turns.BUSY_SECONDS:g} s after something fresh"
    assert rule("A backlog steps aside") == f"{turns.STEP_ASIDE_SECONDS * 1000:g} ms at each step, at most"
    assert rule("Backlogs that compute at once") == f"{turns.HANDS}; 1 while others are busy"
    begins = f"behind the last full one, for {turns.LOOK_BACK_SECONDS:g} s; then with the longest due"
    assert rule("A claim on a backlog begins") == begins
    look = f"A look of the sweep that passed over {sweep.DEAR:,} done deliveries"
    assert rule(look).startswith(f"for {turns.LOOK_BACK_SECONDS:g} s the next ones look at what has fallen due since")
    assert rule("Bytes of one claim") == f"{turns.ROOM // 2**20} MiB"
    assert rule("A request that failed") == f"{seconds(health.REST_AFTER_FAILURE)} s of rest"
    held = f"{health.HOLD_AFTER_FAILURES} failures in a row over {seconds(health.HOLD_AFTER)} s, or refused credentials"
    assert rule("A hold") == held
    assert f"after {seconds(health.FIRST_PROBE)} s, doubling to {seconds(health.LONGEST_PROBE / 60)} minutes" in GUIDE
    pace = f"{health.RELEASE_START} a second, doubling every {seconds(health.RELEASE_DOUBLES)} s, to {health.RELEASE_FULL:,}"
    assert rule("A release") == pace
    assert rule("What is sent again") == f"{timedelta(seconds=1) // pacing.APART:,} a second and destination"
    assert rule("What is sent again waits") == f"while its destination is {seconds(pacing.BEHIND)} s late"
    assert f"a page of {pacing.PAGE:,}" in GUIDE
    assert timedelta(minutes=1) == pacing.PATIENCE
    assert rule("The sweep drops") == f"{sweep.DROP_ROWS:,} deliveries of one queue"
    assert f"{GATHER_SECONDS * 1000:g} ms are gathered" in GUIDE
    assert periodic(load_settings({}))["sweep"] == timedelta(seconds=1)
