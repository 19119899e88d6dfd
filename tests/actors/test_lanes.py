"""A worker's threads are shared out so that no destination, merchant or platform has them all."""

from __future__ import annotations

from contextlib import ExitStack

from tracklayer.actors.lanes import FRESH, HOUSEKEEPERS, Lanes


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


def test_two_platforms_that_hang_leave_lanes_to_the_others() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        assert enter(stack, lanes, *((merchant, "meta") for merchant in range(16))).count(True) == 8
        assert enter(stack, lanes, *((merchant, "tiktok") for merchant in range(16))).count(True) == 4
        assert enter(stack, lanes, (20, "reddit")) == [True]
        assert enter(stack, lanes, (21, "snapchat")) == [True]


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


def test_whoever_leaves_is_told_who_has_waited_longest_and_has_room_by_now() -> None:
    lanes = Lanes(4)
    with ExitStack() as stack:
        enter(stack, lanes, (1, "meta"), (1, "meta"), (1, "tiktok"), (2, "meta"), (3, "meta"), (2, "meta"))
        assert lanes.missed((9, "x")) == []  # all is taken still
    assert lanes.missed((1, "meta")) == [(2, "meta")]  # others than itself
    told = [lanes.missed((1, "tiktok")) for _ in range(3)]
    assert told == [[(1, "meta")], [(3, "meta")], []]


def test_whoever_finds_room_stands_in_line_no_more() -> None:
    lanes = Lanes(4)
    with ExitStack() as stack:
        enter(stack, lanes, (1, "meta"), (2, "tiktok"), (3, "meta"))
    with ExitStack() as stack:
        assert enter(stack, lanes, (3, "meta")) == [True]
    assert lanes.missed((3, "meta")) == []


def test_of_a_full_platform_and_a_full_merchant_nobody_is_told() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        enter(
            stack, lanes, *((merchant, "meta") for merchant in range(10, 18)), *[(1, "tiktok")] * 3, *[(1, "x_ads")] * 3
        )
        enter(stack, lanes, (5, "meta"), (1, "tiktok"), (2, "x_ads"))
        assert lanes.missed((9, "x")) == []  # 14 lanes are taken
    with ExitStack() as stack:
        enter(stack, lanes, *((merchant, "meta") for merchant in range(10, 18)))
        assert lanes.missed((10, "meta")) == [(1, "tiktok")]
        assert lanes.missed((10, "meta")) == [(2, "x_ads")]
        assert lanes.missed((10, "meta")) == []
    assert lanes.missed((10, "meta")) == [(5, "meta")]


def test_two_who_leave_wake_two() -> None:
    lanes = Lanes(4)
    with ExitStack() as stack:
        enter(stack, lanes, (1, "meta"), (2, "tiktok"), (3, "meta"), (4, "meta"))
    assert lanes.missed((1, "meta")) == [(3, "meta")]
    assert lanes.missed((2, "tiktok")) == [(4, "meta")]


def test_backlogs_leave_lanes_to_whoever_keeps_up() -> None:
    lanes = Lanes(16)
    with ExitStack() as stack:
        behind = [lanes.enter((n, f"platform {n}"), yields=True) for n in range(12)]
        assert [stack.enter_context(lane) for lane in behind].count(True) == 14 - FRESH
        assert enter(stack, lanes, *((n, f"platform {n}") for n in range(20, 25))) == [True] * FRESH + [False]
        assert lanes.missed((99, "x")) == []
    assert [lanes.missed((99, "x")) for _ in range(4)] == [
        [(10, "platform 10")],
        [(11, "platform 11")],
        [(24, "platform 24")],
        [],
    ]


def test_whoever_was_overtaken_when_it_was_called_is_called_first_again() -> None:
    lanes = Lanes(4)
    with ExitStack() as stack:
        enter(stack, lanes, (1, "meta"), (2, "tiktok"), (3, "meta"), (4, "tiktok"))
    assert lanes.missed((1, "meta")) == [(3, "meta")]
    with ExitStack() as stack:
        assert enter(stack, lanes, (5, "meta"), (6, "tiktok"), (3, "meta")) == [True, True, False]
    assert lanes.missed((5, "meta")) == [(3, "meta")]
    assert lanes.missed((5, "meta")) == [(4, "tiktok")]
