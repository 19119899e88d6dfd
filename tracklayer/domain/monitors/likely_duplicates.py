"""``likely_duplicates``: the same conversion arrives under several event ids, and is counted several times everywhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.event_names import is_purchase, is_step
from tracklayer.domain.monitors.words import clock_time, counted

APART = timedelta(minutes=10)  # two copies: who buys the same again later means it
GROUPS, SHARE = 10, 0.10  # conversions that came twice, and their copies' share of the name's events
FEW_GROUPS, LARGE_SHARE = 5, 0.20  # or fewer, where they are a larger share
LARGE = 20  # copies of one conversion: no chance makes that
ORDERS, SHARE_OF_ORDERS = 3, 0.05  # the same order under several event ids: nobody means that
ORDERS_OF_ONE = 20  # different ones of one person: a shop that puts its own address on all of them
VALUES_OF_ORDER = 3  # an order id with more different values is a constant, not an order
STILL = 0.5  # of each threshold keeps an open alert
# Two that differ in one of these are two people. A click's id is none of them: it is another one after another click.
_OF_ONE = ("email", "phone", "external_id", "fbp", "browser_id", "ga_client_id", "ttp")


@dataclass(frozen=True, slots=True)
class Conversion:
    """An event as far as it matters here. ``person``: identifier -> digest or value; never shown to anybody.

    ``basket``: ids and quantities, '' where none is given. ``value`` and ``currency``: as given.
    """

    event_id: str
    event_name: str
    occurred_at: datetime
    person: Mapping[str, str]
    value: Decimal | None = None
    currency: str | None = None
    basket: str = ""
    order_id: str | None = None
    action_source: str = "website"


@dataclass(slots=True)
class _Group:
    """Events that are probably one conversion."""

    members: list[Conversion] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)  # what no member may contradict

    def takes(self, event: Conversion, facts: Mapping[str, str]) -> bool:
        if any(self.known.get(name, value) != value for name, value in facts.items()):
            return False
        return event.occurred_at - self.members[0].occurred_at <= APART

    def add(self, event: Conversion, facts: Mapping[str, str]) -> None:
        self.members.append(event)
        for name, value in facts.items():
            self.known.setdefault(name, value)


def judge_likely_duplicates(
    event_name: str, events: Sequence[Conversion], *, is_open: bool, since: datetime
) -> Finding | None:
    """``events``: of one name, all with an event id of their own, that arrived from ``since`` on.

    Two are one conversion where they name the same order, or where the same person, value, currency and basket come
    within ten minutes, and nothing speaks against it: another e-mail, phone, customer id, browser or order. It is told where ten
    conversions came so and their copies are a tenth of the name's events, or five and a fifth, or one came twenty times, or three orders came
    under several ids. Left alone: steps before a conversion, renewals (system_generated), events that neither bring a value
    nor an order, people with more than twenty different orders, and order ids that all share.
    """
    if is_step(event_name):
        return None
    looked_at = [
        event
        for event in events
        if event.action_source != "system_generated"
        and (event.value or event.order_id)
        and event.event_name == event_name
    ]
    orders = _by_order(looked_at)
    in_orders = {event.event_id for group in orders for event in group}
    people = _by_person([event for event in looked_at if event.event_id not in in_orders])
    groups = [*orders, *people]
    if not groups:
        return None
    factor = STILL if is_open else 1.0
    copies = sum(len(group) - 1 for group in groups)
    share = copies / len(looked_at)
    order_share = sum(len(group) - 1 for group in orders) / len(looked_at)
    told = (
        (len(groups) >= GROUPS * factor and share >= SHARE * factor)
        or (len(groups) >= FEW_GROUPS * factor and share >= LARGE_SHARE * factor)
        or max(map(len, groups)) > LARGE * factor
        or (len(orders) >= ORDERS * factor and order_share >= SHARE_OF_ORDERS * factor)
    )
    return _finding(event_name, looked_at, groups, copies, len(orders), since) if told else None


def _by_order(events: Sequence[Conversion]) -> list[list[Conversion]]:
    """Events of one order: however far apart they came."""
    orders: dict[str, list[Conversion]] = {}
    for event in events:
        if event.order_id:
            orders.setdefault(event.order_id, []).append(event)
    return [
        group
        for group in orders.values()
        if len(group) > 1 and len({(one.value, one.currency) for one in group}) <= VALUES_OF_ORDER
    ]


def _by_person(events: Sequence[Conversion]) -> list[list[Conversion]]:
    """Events of one person, value, currency and basket within ten minutes."""
    shared = _of_many(events)
    groups: dict[tuple[str, str, Decimal, str | None], list[_Group]] = {}
    found: list[_Group] = []
    for event in sorted(events, key=lambda event: (event.occurred_at, event.event_id)):
        if not event.value:
            continue
        keys = [
            (name, value, event.value, event.currency)
            for name, value in event.person.items()
            if (name, value) not in shared
        ]
        if not keys:
            continue
        facts = {name: event.person[name] for name in _OF_ONE if name in event.person}
        if event.order_id:
            facts["order"] = event.order_id
        if event.basket:
            facts["basket"] = event.basket
        joined = next((g for key in keys for g in reversed(groups.get(key, [])) if g.takes(event, facts)), None)
        if joined is None:
            joined = _Group()
            found.append(joined)
        joined.add(event, facts)
        for key in keys:
            of_key = groups.setdefault(key, [])
            if joined not in of_key[-1:]:
                of_key.append(joined)
    return [group.members for group in found if len(group.members) > 1]


def _of_many(events: Sequence[Conversion]) -> Collection[tuple[str, str]]:
    """Identifiers that stand on so many different orders that they are the shop's, and nobody's."""
    orders: dict[tuple[str, str], set[tuple[object, ...]]] = {}
    for event in events:
        for one in event.person.items():
            orders.setdefault(one, set()).add((event.order_id, event.value, event.basket))
    return {one for one, different in orders.items() if len(different) > ORDERS_OF_ONE}


def _finding(
    name: str,
    events: Sequence[Conversion],
    groups: Sequence[Sequence[Conversion]],
    copies: int,
    orders: int,
    since: datetime,
) -> Finding:
    largest = max(groups, key=len)
    worth: dict[str, Decimal] = {}
    for group in groups:
        for event in group[1:]:
            if event.value and event.currency:
                worth[event.currency] = worth.get(event.currency, Decimal(0)) + event.value
    money = [f"{amount:,.2f} {currency}" for currency, amount in sorted(worth.items(), key=lambda one: -one[1])[:3]]
    first = min(group[1].occurred_at for group in groups)
    began = max(first, since)
    pair = [event.event_id for event in largest[:2]]
    by_order = f" {counted(orders, 'order')} came under several event ids each." if orders else ""
    return Finding(
        AlertKind.LIKELY_DUPLICATES,
        None,
        Severity.CRITICAL if is_purchase(name) else Severity.WARNING,
        f"{copies:,} of {len(events):,} {name} events are probably counted twice",
        f"About {copies:,} of the {len(events):,} newest {name} events since {clock_time(began)} are copies of "
        f"{counted(len(groups), 'conversion')} under other event ids{f', worth {_and(money)}' if money else ''}: every platform "
        "counts them as further conversions. Have the shop send one event id for each order, the order's own, and the same "
        f"one in every retry and from browser and server. An example: {pair[0]} and {pair[1]}.{by_order}",
        began,
        {
            "events": len(events),
            "copies": copies,
            "conversions": len(groups),
            "largest": len(largest),
            "orders": orders,
            "worth": {currency: str(amount) for currency, amount in worth.items()},
            "example_event_ids": pair,
        },
        event_name=name,
    )


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
