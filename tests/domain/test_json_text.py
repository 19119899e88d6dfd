"""Numbers of JSON come with the digits that they were sent with, wherever they stand and however they are written."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tracklayer.domain.json_text import exact_number, read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("99999999999999.99", Decimal("99999999999999.99")),
        ("-99999999999999.99", Decimal("-99999999999999.99")),
        ("123456789012345678901", 123456789012345678901),
        ("-123456789012345678901", -123456789012345678901),
        ("12345678901234567.5", Decimal("12345678901234567.5")),
        ("9007199254740993e0", 9007199254740993),
        ("0.1000000000000000055", Decimal("0.1000000000000000055")),
        ("129.9900000000000000000", 129.99),
        ("0.30000000000000004", 0.30000000000000004),
        ("389.96999999999997", 389.96999999999997),
        ("18446744073709551615", 18446744073709551615),
        ("1e400", Decimal("1e400")),
        ("129.99", 129.99),
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "[{}]", '{{"a":{}}}', '{{"a": {} }}', '{{"a":\n\t{},"b":1}}', '{{"b":[1,{}]}}']
)
def test_a_number_keeps_its_digits(text: str, value: Any, around: str) -> None:
    found = read_json(around.format(text).encode())
    while isinstance(found, dict | list):
        found = found[-1] if isinstance(found, list) else found.get("a", found.get("b"))
    assert found == value
    assert Decimal(repr(found) if isinstance(found, float) else found) == Decimal(text)
    assert read_json(around.format(text)) == read_json(around.format(text).encode())


def test_long_numbers_in_texts_are_texts_and_everyday_numbers_floats() -> None:
    given = {"fbp": "fb.1.1596403881668.1116446470", "id": "order, 12345678901234567890.5", "value": 129.99, "n": 3}
    found = read_json(json.dumps(given))
    assert found == given
    assert [type(value) for value in found.values()] == [str, str, float, int]


@pytest.mark.parametrize("padding", ["", " " * 500])  # among few numbers of a long text one is looked for by itself
@pytest.mark.parametrize(
    "text", ["a, 12345678901234567.5", '" , 1e400 "', "\\", '\\" 12345678901234567.5 \\', "ü\ud83d, 1e400"]
)
def test_what_stands_in_a_string_stays_beside_a_long_number(text: str, padding: str) -> None:
    given = {"a": text, text: [3], "b": padding}
    written = json.dumps(given)[:-1]
    for number in ("12345678901234567890.5", "1e400"):
        found = read_json(f'{written}, "n": {number}}}')
        assert found == {**given, "n": Decimal(number)}


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[1e400, NaN]",
        f'["{" " * 500}", NaN, 12345678901234567.5, -Infinity]',
        "-",
        "[12345678901234567.5",
        "01234567890123456789.5",
        "[" * 2000,
    ],
)
def test_what_is_no_json_is_no_json_with_a_long_number_too(text: str) -> None:
    with pytest.raises(ValueError, match=r"^line 1|^NaN"):
        read_json(text)


@pytest.mark.parametrize("text", ["9" * 5000, f"0.{'3' * 5000}", "1e99999999999999999999", f"{'1' * 600}e-600"])
def test_a_number_of_thousands_of_digits_is_a_number(text: str) -> None:
    assert isinstance(read_json(f'{{"a": {text}}}')["a"], int | float | Decimal)


@pytest.mark.parametrize("tiny", ["1e-400", "-2.5E-330", f"0.{'0' * 400}1"])
def test_what_is_too_small_for_a_double_is_0_whatever_stands_beside_it(tiny: str) -> None:
    long = "12345678901234567890.5"
    for beside in ("1", long, ", ".join([long] * 50), "1e400"):
        assert read_json(f"[{tiny}, {beside}]")[0] == 0
    assert exact_number(tiny) == 0


def test_any_number_is_the_one_that_was_written() -> None:
    chance = Random(20261129)
    for _ in range(20_000):
        whole = str(chance.randrange(10 ** chance.randrange(1, 22)))
        text = chance.choice(("", "-")) + whole
        if chance.random() < 0.8:
            text += "." + "".join(chance.choices("0123456789", k=chance.randrange(1, 21)))
        if chance.random() < 0.2:
            text += chance.choice(("e", "E")) + chance.choice(("", "+", "-")) + str(chance.randrange(12))
        (found,) = read_json(f"[{text}]")
        assert Decimal(repr(found) if isinstance(found, float) else found) == Decimal(text), text
