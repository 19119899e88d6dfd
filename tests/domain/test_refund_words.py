"""Each word of each column of each language, beside each word that it may stand with, in both orders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product

import pytest

from tracklayer.domain.contact import folded
from tracklayer.domain.refund_vocabulary import LANGUAGES, WITHOUT_BLANKS, Words
from tracklayer.domain.refund_words import may_be_refund

# Columns that a language leaves empty: none of these can be forgotten.
EMPTY = {
    # What may be refunded is said behind the word, or as its end; so is what may not be.
    "English": "able_before denied covers_before",
    "German": "able_before denied",
    "French": "able_before denied",
    "Spanish and Portuguese": "able_before denied",
    "Italian": "able_before denied",
    "Dutch": "able_before denied unlike",
    "Scandinavian": "able_before denied",
    "Polish": "denied unlike",
    # Ability stands in front, and all else behind.
    "Chinese": "able denied covers_before",
    "Japanese": "able_before denies covers_before comes_with",
    "Korean": "able_before denies covers_before comes_with",
}


def spelled(word: str) -> Iterator[str]:
    """Each form of a word of the table: of ``order(s)`` order and orders."""
    parts = re.split(r"\(([^)]+)\)", word)
    optional = [("", *part.split("/")) for part in parts[1::2]]
    for chosen in product(*optional):
        pieces = [plain + end for plain, end in zip(parts[::2], (*chosen, ""), strict=True)]
        yield "".join(pieces).replace("_", " ").strip()


def all_of(words: Words, columns: str) -> list[str]:
    """The whole words and the beginnings of words in some columns, in each form."""
    given = [word for name in columns.split() for word in getattr(words, name).split() if not word.startswith("-")]
    return [form for word in given for form in spelled(word.removesuffix("-"))]


def beginnings(words: Words, columns: str) -> list[str]:
    given = [word[:-1] for name in columns.split() for word in getattr(words, name).split() if word.endswith("-")]
    return [form for word in given for form in spelled(word)]


def ends(words: Words, column: str) -> list[str]:
    given = [word.strip("-") for word in getattr(words, column).split() if word.startswith("-")]
    return [form for word in given for form in spelled(word)]


def is_done(word: str, words: Words) -> bool:
    return any(folded(word).endswith(folded(end)) for end in all_of(words, "done"))


def wrong(names: Iterable[str], expected: bool) -> list[str]:
    return sorted({name for name in names if may_be_refund(name) is not expected})


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def words(language: str) -> Words:
    return LANGUAGES[language]


@pytest.fixture
def gaps(language: str) -> tuple[str, ...]:
    return ("", " ") if language in WITHOUT_BLANKS else (" ",)


def test_every_column_has_words_or_is_known_to_have_none(language: str, words: Words) -> None:
    assert {name for name in Words._fields if not getattr(words, name)} == set(EMPTY.get(language, "").split())


def test_what_is_sold_and_a_word_for_taking_it_back_may_be_a_refund_in_both_orders(
    words: Words, gaps: tuple[str, ...]
) -> None:
    pairs = [
        *product(all_of(words, "orders bookings money goods"), all_of(words, "cancels")),
        *product(all_of(words, "orders money goods"), all_of(words, "returns")),
    ]
    names = [name for gap in gaps for sold, back in pairs for name in (f"{sold}{gap}{back}", f"{back}{gap}{sold}")]
    assert wrong(names, expected=True) == []


def test_small_words_between_them_change_nothing(language: str, words: Words) -> None:
    sold, back = all_of(words, "orders")[0], all_of(words, "cancels")[0]
    if language in WITHOUT_BLANKS:
        names = [f"{a}{small}{b}" for small in all_of(words, "particles") for a, b in ((sold, back), (back, sold))]
    else:
        names = [f"{back} {small} {sold}" for small in all_of(words, "particles")]
    assert wrong(names, expected=True) == []


def test_a_word_for_it_alone_may_be_a_refund_and_so_may_it_with_what_became_of_it(words: Words) -> None:
    backs = all_of(words, "refunds cancels returns")
    assert wrong(backs, expected=True) == []
    assert wrong((f"{back} {done}" for back in backs for done in all_of(words, "done")), expected=True) == []


def test_what_was_done_takes_a_sale_back_even_free_of_charge(words: Words) -> None:
    sale, free = all_of(words, "orders")[0], all_of(words, "free")[0]
    stems = [*(one for one in all_of(words, "refunds") if " " not in one), *beginnings(words, "cancels")]
    names = [f"{sale} {free} {stem}{done}" for stem in stems for done in all_of(words, "done")]
    assert wrong(names, expected=True) == []


def test_what_can_be_had_back_is_a_sale(words: Words) -> None:
    beginnings = [
        word for name in ("cancels", "returns") for word in getattr(words, name).split() if word.endswith("-")
    ]
    stems = [*all_of(words, "refunds"), *(form for word in beginnings for form in spelled(word.removesuffix("-")))]
    sale = all_of(words, "orders")[0]
    able = [stem + end for stem in stems for end in ends(words, "able")]
    assert wrong((name for one in able for name in (one, f"{sale} {one}", f"{one} {sale}")), expected=False) == []


def test_what_is_denied_allowed_or_insured_is_a_sale_unless_it_was_done(words: Words, gaps: tuple[str, ...]) -> None:
    sales = (all_of(words, "orders")[0], all_of(words, "bookings")[0])
    backs = all_of(words, "refunds cancels returns")
    nouns = [back for back in backs if not is_done(back, words)]
    for gap in gaps:
        said = [f"{before}{gap}{back}" for before in all_of(words, "denies able_before") for back in backs]
        said += [f"{before}{gap}{noun}" for before in all_of(words, "covers_before") for noun in nouns]
        said += [f"{noun}{gap}{behind}" for behind in all_of(words, "covers denied able") for noun in nouns]
        said += [f"{noun}{end}" for end in ends(words, "covers") for noun in nouns]
        names = [name for one in said for sale in sales for name in (f"{sale} - {one}", f"{one} - {sale}")]
        assert wrong(names, expected=False) == []
    done = [back for back in all_of(words, "cancels") if is_done(back, words)]
    behind = all_of(words, "covers denied able")
    assert wrong((f"{sales[0]} {back} {one}" for back in done for one in behind), expected=True) == []


def test_what_is_free_is_promised_with_a_sale_and_may_be_a_refund_without(
    language: str, words: Words, gaps: tuple[str, ...]
) -> None:
    sales = (*all_of(words, "orders")[:1], *all_of(words, "bookings")[:1], *all_of(words, "sold"))
    backs = all_of(words, "refunds cancels returns")
    nouns = [back for back in backs if not is_done(back, words)]
    for gap in gaps:
        pairs = [*product(all_of(words, "free"), nouns)]
        said = {f"{free}{gap}{noun}" for free, noun in pairs}
        if language != "English":  # where "return free item" is about an item
            said |= {f"{noun}{gap}{free}" for free, noun in pairs}
        said -= {*backs}  # as with free shipping, where no return is free
        names = [name for one in said for sale in sales for name in (f"{sale} - {one}", f"{one} - {sale}")]
        assert wrong(names, expected=False) == []
    certain = [noun for noun in all_of(words, "refunds") if not is_done(noun, words)]
    assert wrong((f"{free} {noun}" for free in all_of(words, "free") for noun in certain), expected=True) == []


def test_promises_and_words_that_only_look_like_one_are_sales_and_acquit_no_other_word(words: Words) -> None:
    sale, back = all_of(words, "orders")[0], all_of(words, "cancels")[0]
    said = all_of(words, "promises unlike")
    assert wrong((name for one in said for name in (one, f"{sale} {one}", f"{one} {sale}")), expected=False) == []
    assert (
        wrong((name for one in said for name in (f"{sale} {back}, {one}", f"{one}: {sale} {back}")), expected=True)
        == []
    )


def test_what_a_sale_comes_with_takes_nothing_back(words: Words) -> None:
    sale = all_of(words, "orders")[0]
    backs = all_of(words, "cancels returns")
    assert (
        wrong((f"{sale} {one} {back}" for one in all_of(words, "comes_with") for back in backs), expected=False) == []
    )
