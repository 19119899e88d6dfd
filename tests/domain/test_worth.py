"""Money in words: digits as its currency has them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tracklayer.domain.monitors.worth import Worth, money, said


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        ("40560", "USD", "40,560.00 USD"),
        ("40560", "JPY", "40,560 JPY"),
        ("1234.5", "KWD", "1,234.500 KWD"),
        ("3.25", "CLF", "3.2500 CLF"),
        ("3.25", None, "3.25"),
        ("3.25", "XAU", "3.25 XAU"),
    ],
)
def test_money_has_the_decimals_of_its_currency(amount: str, currency: str | None, told: str) -> None:
    assert money(Decimal(amount), currency) == told


@pytest.mark.parametrize(
    ("currency", "least"), [("USD", "0.00501"), ("JPY", "0.501"), ("KWD", "0.000501"), ("CLF", "0.0000501")]
)
def test_what_is_written_as_nothing_is_not_told(currency: str, least: str) -> None:
    amount = Decimal(least)
    assert said(Worth({currency: amount - amount / 100})) == ""
    assert said(Worth({currency: amount})) == money(amount, currency)
    assert any(digit in "123456789" for digit in said(Worth({currency: amount})))
