"""The words that are counted by themselves, and what was seen lately: bounded, and forgotten."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracklayer.counting import Lately, Refusals, TurnedAway, Vocabulary
from tracklayer.domain.facts import OTHERS


def test_words_are_bounded_and_forgotten_after_a_day() -> None:
    words = Vocabulary(2)
    assert [words.known(1, word, 7) for word in ("a", "b", "c", "a")] == ["a", "b", OTHERS, "a"]
    assert words.known(2, "c", 7) == "c"
    assert words.known(1, "b", 30) == "b"
    assert words.known(1, "c", 32) == "c"
    assert words.known(1, "d", 32) == OTHERS


def test_a_new_word_with_every_event_keeps_no_real_one_out() -> None:
    words = Vocabulary(10, free=3)
    assert [words.known(1, f"click {n}", 7) for n in range(5)] == ["click 0", "click 1", "click 2", OTHERS, OTHERS]
    assert [words.known(1, "Purchase", 7) for _ in range(4)] == [OTHERS, OTHERS, "Purchase", "Purchase"]
    for n in range(100):
        words.known(1, f"once {n}", 7)
    assert words.known(1, "Lead", 7) == OTHERS
    assert [words.known(1, "Lead", 7) for _ in range(2)] == [OTHERS, "Lead"]


@pytest.mark.parametrize(
    ("word", "is_counted"),
    [
        ("Purchase", True),
        ("", True),
        ("Заказ №".replace("№", "no. 5"), True),
        ("sign_up (step 2)", True),
        ("shop.example.com", True),
        ("see https://evil.example", False),
        ("jane@example.com", False),
        ("call 4915123456", False),
        ("two\nlines", False),
        ("\u202eright to left", False),
        ("x" * 65, False),
    ],
)
def test_only_plain_words_are_counted_by_themselves(word: str, is_counted: bool) -> None:
    assert Vocabulary(5).known(1, word, 7) == (word if is_counted else OTHERS)


def test_a_key_that_sends_every_name_with_every_fault_is_counted_under_few() -> None:
    refusals = Refusals()
    codes = [f"CODE_{n}" for n in range(35)]
    counted = Counter(
        refusals.counted_as(1, (name, code, where), 7)
        for _ in range(4)
        for code in codes
        for where in [f"custom_data.field_{n}" for n in range(60)]
        for name in [f"name {n}" for n in range(20)]
    )
    assert counted.total() == 4 * 35 * 60 * 20
    assert len(counted) <= 100 + 40 + 2 * len(codes)
    assert refusals.counted_as(1, ("Purchase", "CODE_0", ""), 7) == (OTHERS, "CODE_0", OTHERS)
    assert refusals.counted_as(2, ("Purchase", "CODE_0", ""), 7) == ("Purchase", "CODE_0", "")
    assert refusals.counted_as(1, ("Purchase", "CODE_0", ""), 32) == (OTHERS, "CODE_0", "")
    assert refusals.counted_as(1, ("Purchase", "CODE_0", ""), 32) == ("Purchase", "CODE_0", "")


def test_what_was_seen_lately_is_bounded_and_forgotten() -> None:
    lately: Lately[str] = Lately(2)
    assert [lately.is_new(1, key, 7) for key in ("a", "b", "a", "c", "a")] == [True, True, False, True, True]
    assert not lately.is_new(1, "a", 8)
    assert lately.is_new(1, "a", 9)


def test_one_merchant_with_many_keys_makes_nobody_elses_be_forgotten() -> None:
    lately: Lately[str] = Lately(7, of_one=3)
    assert [lately.is_new(1, "a", 7), lately.is_new(2, "a", 7)] == [True, True]
    assert all(lately.is_new(3, f"k{n}", 7) for n in range(100))
    assert [lately.is_new(1, "a", 7), lately.is_new(2, "a", 7), lately.is_new(3, "k99", 7)] == [False] * 3
    assert all(lately.is_new(4, f"k{n}", 7) for n in range(3))  # more than there is room for: 1 came longest ago
    assert [lately.is_new(2, "a", 7), lately.is_new(3, "k99", 7), lately.is_new(1, "a", 7)] == [False, False, True]


def test_threads_that_judge_at_once_do_not_trip_over_each_other() -> None:
    words, lately = Vocabulary(5, free=2), Lately[str](3)

    def judge(thread: int) -> None:
        for n in range(5_000):
            words.known(1, f"w{(n + thread) % 9}", n // 10)
            lately.is_new(n % 3, f"k{(n * 7 + thread) % 11}", n // 10)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(judge, range(4))) == [None] * 4


def test_one_who_has_many_causes_leaves_out_nobody_elses() -> None:
    turned_away = TurnedAway(most=100, of_one=80, always=5)
    for merchant_id in (1, 2):
        for number in range(200):
            turned_away.add((merchant_id, 1, "X", str(number)), 2)
    for _ in range(3):
        for number in range(9):
            turned_away.add((3, 1, "X", str(number)), 1)
    taken = turned_away.take()
    assert Counter(key[0] for key in taken) == {1: 80, 2: 20, 3: 5}
    assert {count for key, count in taken.items() if key[0] == 3} == {3}
    turned_away.give_back(taken)
    assert turned_away.take() == taken
    turned_away.add((1, 1, "X", "0"), 1)
    assert len(turned_away.take()) == 1


def test_of_many_keys_in_a_minute_the_first_are_named() -> None:
    turned_away = TurnedAway(most=2)
    assert [key_id for key_id in range(30) if turned_away.is_named(1, 1, key_id)] == list(range(20))
    assert [key_id for key_id in range(29, -1, -1) if turned_away.is_named(1, 1, key_id)] == list(range(19, -1, -1))
    assert turned_away.is_named(2, 1, 29)
    assert [key_id for key_id in range(29, -1, -1) if turned_away.is_named(1, 2, key_id)] == list(range(29, 9, -1))
    assert turned_away.is_named(3, 2, 5)  # whoever came longest ago is forgotten
    assert turned_away.is_named(2, 2, 29)


def test_one_who_revoked_many_keys_makes_nobody_elses_be_forgotten() -> None:
    turned_away = TurnedAway(most=6, of_one=3)
    turned_away.keep_revoked(b"other", 2, 7, may_send=True)
    for _ in range(2):
        for number in range(9):
            turned_away.keep_revoked(b"%d" % number, 1, number, may_send=True)
    assert turned_away.revoked(b"other") == (2, 7, True)
    assert [number for number in range(9) if turned_away.revoked(b"%d" % number)] == [6, 7, 8]
    for merchant_id in (3, 4):
        for number in range(3):
            turned_away.keep_revoked(b"%d %d" % (merchant_id, number), merchant_id, number, may_send=True)
    assert turned_away.revoked(b"other") is None
    assert turned_away.revoked(b"4 2") == (4, 2, True)
