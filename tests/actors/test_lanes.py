"""A worker's threads are shared out so that no destination, merchant or platform has them all."""

from __future__ import annotations

from contextlib import ExitStack

from tracklayer.actors.lanes import HOUSEKEEPERS, Lanes


def enter(stack: ExitStack, lanes: Lanes, *destinations: tuple[int, str]) -> list[bool]:
    return [stack.enter_context(lanes.enter(destination)) for destination in destinations]


def test_a_destination_gets_a_quarter() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        assert enter(stack, lanes, *[(1, "meta")] * 5) == [True] * 4 + [False]
        assert enter(stack, lanes, (1, "tiktok")) == [True]


def test_a_platform_that_hangs_for_everybody_leaves_half_to_the_others() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        assert enter(stack, lanes, *((merchant, "meta") for merchant in range(9))) == [True] * 8 + [False]
        assert enter(stack, lanes, (9, "tiktok")) == [True]


def test_platforms_that_hang_leave_each_other_and_the_rest_half_of_what_is_left() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        assert enter(stack, lanes, *((merchant, "meta") for merchant in range(16))).count(True) == 8
        assert enter(stack, lanes, *((merchant, "tiktok") for merchant in range(16))).count(True) == 4
        assert enter(stack, lanes, (20, "reddit")) == [True]
        assert enter(stack, lanes, (21, "snapchat")) == [True]


def test_of_two_busy_platforms_the_one_that_has_more_gives_way() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack, ExitStack() as leaving:
        enter(leaving, lanes, (1, "meta"), (2, "meta"), (3, "meta"))
        assert enter(stack, lanes, *((merchant, "meta") for merchant in range(10, 16))).count(True) == 5
        assert enter(stack, lanes, *((merchant, "tiktok") for merchant in range(16))).count(True) == 4
        leaving.close()
        assert enter(stack, lanes, (20, "tiktok"), (1, "meta")) == [True, False]


def test_a_merchant_leaves_half_to_the_others() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        assert enter(stack, lanes, *((1, f"platform {n}") for n in range(9))) == [True] * 8 + [False]
        assert enter(stack, lanes, (2, "platform 8")) == [True]


def test_deliveries_leave_room_for_the_sweep() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        assert enter(stack, lanes, *((n, f"platform {n}") for n in range(16))).count(True) == 16 - HOUSEKEEPERS


def test_a_single_thread_delivers_too() -> None:
    lanes = Lanes(1)
    with ExitStack() as stack:
        assert enter(stack, lanes, (1, "meta"), (2, "tiktok")) == [True, False]
    with ExitStack() as stack:
        assert enter(stack, lanes, (2, "tiktok")) == [True]


def test_whoever_leaves_is_told_once_who_found_no_room_for_what_it_held() -> None:
    lanes = Lanes(4)
    with ExitStack() as stack:
        enter(stack, lanes, (1, "meta"), (1, "meta"), (1, "tiktok"), (2, "meta"), (3, "meta"))
        assert lanes.missed((9, "x")) == []
    assert lanes.missed((1, "meta")) == [(1, "meta"), (2, "meta")]
    assert lanes.missed((1, "meta")) == [(3, "meta")]
    assert lanes.missed((1, "meta")) == []


def test_of_thousands_that_found_no_room_each_that_leaves_tells_the_two_that_waited_longest() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        enter(stack, lanes, *((merchant, "meta") for merchant in range(3000)))
    assert lanes.missed((0, "meta")) == [(8, "meta"), (9, "meta")]
    with ExitStack() as stack:
        assert enter(stack, lanes, (10, "meta")) == [True]  # woken by the sweep meanwhile
    assert lanes.missed((0, "meta")) == [(11, "meta"), (12, "meta")]
