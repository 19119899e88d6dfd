"""``likely_duplicates``: the same conversion arrives under several event ids, and is counted several times everywhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from tracklayer.domain.alert import AlertKind, Finding, Severity
from tracklayer.domain.event_names import is_purchase, is_sale
from tracklayer.domain.monitors.words import clock_time, counted
from tracklayer.domain.monitors.worth import money as money_said
from tracklayer.domain.monitors.worth import said, worth_of

APART = timedelta(minutes=2)  # between a copy and the one before it: who buys the same again later means it
GROUPS, SHARE = 10, 0.10  # conversions that came twice, and their copies' share of the name's events
FEW_GROUPS, LARGE_SHARE = 5, 0.20  # or fewer, where they are a larger share
LARGE = 20  # copies of one conversion: no chance makes that
ORDERS, SHARE_OF_ORDERS = 3, 0.05  # the same order under several event ids: nobody means that
STILL = 0.5  # of each threshold keeps an open alert
FEW = 5  # copies come in pairs, or a few; more without a browser may be the seats of a company, renewed by a program,
SURE, SURE_SHARE = 100, 0.5  # unless they are so many, and so large a part of the shop
# One person who buys so many different things, or at so many moments, or from so many addresses, is a shared mailbox.
THINGS, MOMENTS, ORIGINS = 3, 3, 4
STREAM, STREAM_LASTS, STREAM_PACE = 6, timedelta(minutes=5), 6  # so many events, for so long, below so many a minute
# Two that differ in one of these are two people. A click's id is none of them: it is another one after another click.
_OF_ONE = ("email", "phone", "external_id", "fbp", "browser_id", "ga_client_id", "ttp")


@dataclass(frozen=True, slots=True)
class Conversion:
    """An event as far as it matters here. ``person``: identifier -> digest or value; never shown to anybody.

    ``basket``: ids and quantities, '' where none is given. ``value`` and ``currency``: as given. ``origin``: the client's
    IP address and user agent; never shown either.
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
    origin: tuple[str | None, str | None] = (None, None)


Group = Sequence[Conversion]


@dataclass(slots=True)
class _Group:
    """Events that are probably one conversion."""

    members: list[Conversion] = field(default_factory=list)
    known: dict[str, object] = field(default_factory=dict)  # what no member may contradict

    def takes(self, event: Conversion, facts: Mapping[str, object]) -> bool:
        if any(self.known.get(name, value) != value for name, value in facts.items()):
            return False
        return event.occurred_at - self.members[-1].occurred_at <= APART

    def add(self, event: Conversion, facts: Mapping[str, object]) -> None:
        self.members.append(event)
        for name, value in facts.items():
            self.known.setdefault(name, value)


def judge_likely_duplicates(
    event_name: str, events: Sequence[Conversion], *, is_open: bool, since: datetime, before: Sequence[Conversion] = ()
) -> Finding | None:
    """``events``: of one name, all with an event id of their own, that arrived from ``since`` on; ``before``: those before
    that, which only tell what a person usually does.

    Only sales are looked at. Two are one conversion where they name the same order, or where the same person, value,
    currency and basket come within two minutes, and nothing speaks against it: another e-mail, phone, customer id, browser,
    order or value. It is told where ten conversions came so and their copies are a tenth of the name's events, or five and
    a fifth, or one came more than twenty times, or three orders came under several ids. Left alone: renewals
    (system_generated), events that neither bring a value nor an order, whoever buys several different things, at several
    moments or steadily (a mailbox that many share), and order ids under which different things come.

    Many equal ones of one person that a program sent, none of which names an order, may be as many real ones: that is
    asked and not claimed.
    """
    if not is_sale(event_name):
        return None
    looked_at = _looked_at(event_name, events)
    orders, without_order = _by_order(looked_at)
    shared = _of_many([*_looked_at(event_name, before), *looked_at])
    people = _by_person(without_order, shared)
    groups: list[Group] = [*orders]
    asked: list[Group] = []
    for group in people:
        (groups if _is_sure(group, len(looked_at)) else asked).append(group)
    factor = STILL if is_open else 1.0
    if _is_told(groups, len(orders), len(looked_at), factor):
        return _finding(event_name, looked_at, groups, len(orders), since)
    if _is_told(asked, 0, len(looked_at), factor):
        return _question(event_name, looked_at, asked, since)
    return None


def _looked_at(event_name: str, events: Sequence[Conversion]) -> list[Conversion]:
    return [
        event
        for event in events
        if event.action_source != "system_generated"
        and (event.value or event.order_id)
        and event.event_name == event_name
    ]


def _is_told(groups: Sequence[Group], orders: int, events: int, factor: float) -> bool:
    """``orders``: how many of ``groups``, the first ones, are orders."""
    if not groups:
        return False
    share = sum(len(group) - 1 for group in groups) / events
    order_share = sum(len(group) - 1 for group in groups[:orders]) / events
    return (
        (len(groups) >= GROUPS * factor and share >= SHARE * factor)
        or (len(groups) >= FEW_GROUPS * factor and share >= LARGE_SHARE * factor)
        or max(map(len, groups)) > LARGE * factor
        or (orders >= ORDERS * factor and order_share >= SHARE_OF_ORDERS * factor)
    )


def _is_sure(group: Group, events: int) -> bool:
    """Whether so many alike cannot be meant: nobody does it in a browser, and no company is most of a shop."""
    in_browser = any(one.origin[1] for one in group)
    return len(group) <= FEW or in_browser or (len(group) >= SURE and len(group) >= SURE_SHARE * events)


def _by_order(events: Sequence[Conversion]) -> tuple[list[list[Conversion]], list[Conversion]]:
    """(events of one order each, however far apart they came; events whose order came once, or that have none).

    Order ids under which different people or things come are none: receipts that each store counts from 1, a constant, or
    an event for each line or parcel. Where that is so of as many as are alike, none says anything.
    """
    by_id: dict[str, list[Conversion]] = {}
    for event in events:
        if event.order_id:
            by_id.setdefault(event.order_id, []).append(event)
    several = [group for group in by_id.values() if len(group) > 1]
    alike = [group for group in several if _is_one_order(group)]
    if 2 * len(alike) <= len(several):
        alike = []
    in_several = {event.event_id for group in several for event in group}
    return alike, [event for event in events if event.event_id not in in_several]


def _is_one_order(group: Group) -> bool:
    """Whether nothing speaks against it. Of a value, currency or basket that is missing in one, nothing is known."""
    for told in (
        {one.value for one in group if one.value is not None},
        {one.currency for one in group if one.currency},
        {one.basket for one in group if one.basket},
        {one.person["email"] for one in group if "email" in one.person},
        {one.person["phone"] for one in group if "phone" in one.person},
    ):
        if len(told) > 1:
            return False
    customers = {one.person["external_id"] for one in group if "external_id" in one.person}
    is_known = all("email" in one.person for one in group) or all("phone" in one.person for one in group)
    return (len(customers) <= 1 or is_known) and not _is_from_many_places(group)


def _by_person(events: Sequence[Conversion], shared: Collection[tuple[str, str]]) -> list[list[Conversion]]:
    """Events of one person, value, currency and basket, each within two minutes of the one before."""
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
        facts: dict[str, object] = {name: event.person[name] for name in _OF_ONE if name in event.person}
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
    """Identifiers that are the shop's, a reseller's or a company's, and no single buyer's: by how their events come."""
    by_one: dict[tuple[str, str], list[Conversion]] = {}
    for event in sorted(events, key=lambda event: event.occurred_at):
        for one in event.person.items():
            by_one.setdefault(one, []).append(event)
    return {one for one, group in by_one.items() if _is_of_many(group)}


def _is_of_many(group: Group) -> bool:
    """``group``: of one identifier, in order."""
    things = (
        {one.order_id for one in group if one.order_id},
        {(one.value, one.currency) for one in group if one.value},
        {one.basket for one in group if one.basket},
    )
    if any(len(different) >= THINGS for different in things) or _is_from_many_places(group):
        return True
    times = [one.occurred_at for one in group]
    if 1 + sum(later - earlier > APART for earlier, later in pairwise(times)) >= MOMENTS:
        return True
    lasted = times[-1] - times[0]
    pace = len(group) / max(lasted.total_seconds() / 60, 1)
    return len(group) >= STREAM and lasted >= STREAM_LASTS and pace < STREAM_PACE


def _is_from_many_places(group: Group) -> bool:
    return len({one.origin[0] for one in group if one.origin[0]}) >= ORIGINS


def _finding(name: str, events: Group, groups: Sequence[Group], orders: int, since: datetime) -> Finding:
    largest, copies = max(groups, key=len), sum(len(group) - 1 for group in groups)
    worth = worth_of((event.currency, event.value) for group in groups for event in group[1:])
    money = said(worth)
    began = max(min(group[1].occurred_at for group in groups), since)
    pair = [event.event_id for event in largest[:2]]
    by_order = f" {counted(orders, 'order')} came under several event ids each." if orders else ""
    return Finding(
        AlertKind.LIKELY_DUPLICATES,
        None,
        Severity.CRITICAL if is_purchase(name) else Severity.WARNING,
        f"{copies:,} of {len(events):,} {name} events are probably copies",
        f"{copies:,} of the {len(events):,} newest {name} events since {clock_time(began)} are probably copies of "
        f"{counted(len(groups), 'conversion')} under other event ids, and every platform counts them again"
        f"{f': {money} too much' if money else ''}. Whoever sends the shop's events must give each order one event id, "
        f"its own, in every retry and from browser and server alike. Compare `{pair[0]}` and `{pair[1]}`, for one.{by_order}",
        began,
        {
            "events": len(events),
            "copies": copies,
            "conversions": len(groups),
            "largest": len(largest),
            "orders": orders,
            "is_certain": True,
            "worth": worth.as_json(),
            "example_event_ids": pair,
        },
        event_name=name,
    )


def _question(name: str, events: Group, groups: Sequence[Group], since: datetime) -> Finding:
    """Of many that are alike, which may be copies of one or as many real ones."""
    largest, alike = max(groups, key=len), sum(map(len, groups))
    one, pair = largest[0], [event.event_id for event in largest[:2]]
    began = max(min(group[0].occurred_at for group in groups), since)
    price = money_said(one.value, one.currency)
    whose = (
        f"of one person, {price} each"
        if len(groups) == 1
        else f"of {len(groups):,} people, the same {len(largest):,} times"
    )
    return Finding(
        AlertKind.LIKELY_DUPLICATES,
        None,
        Severity.WARNING,
        f"{alike:,} {name} events are alike: copies, or orders of their own?",
        f"{alike:,} {name} events since {clock_time(began)} are alike: {whose}, under different event ids and without an order "
        "id. If they are copies, every platform counts each of them, and whoever sends the shop's events must give one order "
        "one event id. If they are orders of their own, as the seats of a company that renew together, nothing is lost: send "
        "custom_data.order_id with each (and the action source system_generated with renewals), and they are not taken for "
        f"copies. Compare `{pair[0]}` and `{pair[1]}`.",
        began,
        {
            "events": len(events),
            "copies": alike - len(groups),
            "conversions": len(groups),
            "largest": len(largest),
            "orders": 0,
            "is_certain": False,
            "worth": {},
            "example_event_ids": pair,
        },
        event_name=name,
    )
