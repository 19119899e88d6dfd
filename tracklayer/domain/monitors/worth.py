"""What sales are worth, in the words of alerts: sums by currency of what the events bring themselves.

Nothing is converted, estimated or made up: a sale without a value or without a currency adds nothing, nor does money that was
given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tracklayer.domain.currencies import decimals
from tracklayer.domain.monitors.words import capitalised, clock_time, counted, lasting, listed

MOST_TOLD = 3  # currencies of a sentence
CAME_TOO_LATE = "came_too_late"  # beside the reasons of drops: too old for the platform as it arrived, as an import of old events is
NOT_COUNTED = (
    "Whether deliveries were lost meanwhile is not known: so many were dropped that not all of them were looked at."
)


@dataclass(frozen=True, slots=True)
class Worth:
    """``amounts``: currency -> sum. ``is_all``: of every event that it is about, and not only of some."""

    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    is_all: bool = True

    def __add__(self, other: Worth) -> Worth:
        return worth_of([*self.amounts.items(), *other.amounts.items()], is_all=self.is_all and other.is_all)

    def as_json(self) -> dict[str, str]:
        return {currency: str(amount) for currency, amount in self.amounts.items()}


NOTHING = Worth()


def worth_of(sales: Iterable[tuple[str | None, Decimal | None]], *, is_all: bool = True) -> Worth:
    """Of (currency, value)s."""
    amounts: dict[str, Decimal] = {}
    for currency, value in sales:
        if currency and value and value > 0:
            amounts[currency] = amounts.get(currency, Decimal(0)) + value
    return Worth(amounts, is_all)


def least_of_all(parts: Iterable[Worth]) -> Worth:
    """What is known of events of which each may be in several parts: of each currency the largest sum, at least."""
    amounts: dict[str, Decimal] = {}
    for part in parts:
        for currency, amount in part.amounts.items():
            amounts[currency] = max(amount, amounts.get(currency, Decimal(0)))
    return Worth(amounts, is_all=False)


def of_several(parts: Sequence[Worth]) -> Worth:
    """The same; exactly, where it is only one."""
    return parts[0] if len(parts) == 1 else least_of_all(parts) if parts else NOTHING


def said(worth: Worth) -> str:
    """``at least 40,560.00 USD and 129.00 EUR``; empty where nothing is known."""
    tellable = [one for one in worth.amounts.items() if not _is_nothing(*one)]
    largest = sorted(tellable, key=lambda one: (-one[1], one[0]))
    told = [money(amount, currency) for currency, amount in largest[:MOST_TOLD]]
    if len(largest) > MOST_TOLD:
        told.append(f"sums in {len(largest) - MOST_TOLD} more")
    return f"{'' if worth.is_all else 'at least '}{listed(told)}" if told else ""


def money(amount: Decimal | None, currency: str | None) -> str:
    """``40,560.00 USD``, ``40,560 JPY``."""
    return f"{amount or 0:,.{decimals(currency)}f} {currency or ''}".rstrip()


def _is_nothing(currency: str, amount: Decimal) -> bool:
    """Whether it is written as 0.00."""
    return amount <= Decimal(5).scaleb(-1 - decimals(currency))


def in_sales(worth: Worth) -> str:
    """``, worth at least 40,560.00 USD in sales``, behind what it is about; empty where nothing is known."""
    sums = said(worth)
    return f", worth {sums} in sales" if sums else ""


def lost(count: int, worth: Worth) -> str:
    """``at least 36 deliveries, worth 4,679.64 USD in sales``: of what was dropped."""
    return f"{'' if worth.is_all else 'at least '}{counted(count, 'delivery', 'deliveries')}{in_sales(worth)}"


def were(count: int, worth: Worth) -> str:
    """``36 deliveries, worth 4,679.64 USD in sales, were``, before what became of them."""
    return f"{lost(count, worth)}{',' if in_sales(worth) else ''} {'was' if count == 1 else 'were'}"


def was_lost(count: int, worth: Worth, saved: int, worth_saved: Worth, when: str = "meanwhile") -> str:
    """What was lost while an alert was open, as its end says it, and what is to be done; empty where nothing was. ``saved``: how many of
    them a redelivery may save.
    """
    if not count:
        return "" if worth.is_all else NOT_COUNTED
    told = f"{capitalised(were(count, worth))} lost {when}"
    if not saved:
        return f"{told}, and no redelivery saves them."
    if saved == count:
        return f"{told}: redeliver what was dropped."
    return (
        f"{told}: redeliver what was dropped. That may save {lost(saved, worth_saved)}; no redelivery saves the others."
    )


def still_fails(count: int, worth: Worth, until: datetime | None) -> str:
    """What failed while an alert was open and waits for another attempt, as its end says it; empty where nothing does."""
    if not count or until is None:
        return ""
    sales = in_sales(worth)
    return (
        f"{capitalised(lost(count, worth))}{',' if sales else ''} failed meanwhile and {'waits' if count == 1 else 'wait'} for another"
        f" attempt: what is not taken by {clock_time(until)} is dropped."
    )


def losing(left: timedelta, aged: int, worth: Worth) -> str:
    """``3 deliveries were lost for their age, and the next is lost in 19 h``: of what waits. ``left``: until the first that does is
    lost; ``aged``: how many were so far.
    """
    if left <= timedelta():
        return f"the oldest are being lost for their age{f', so far {lost(aged, worth)}' if aged else ''}"
    if aged:
        return f"{were(aged, worth)} lost for their age, and the next is lost in {lasting(left)}"
    return f"the first is lost in {lasting(left)}"


def details(**worths: Worth) -> dict[str, dict[str, str]]:
    """As an alert's figures, without those of which nothing is known."""
    return {name: worth.as_json() for name, worth in worths.items() if worth.amounts}
