"""What ``match_quality_drop`` says to a shop's manager: what is lost since when and where, who must do what, then figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from tracklayer.domain.facts import OTHERS
from tracklayer.domain.monitors.coverage import CLICK_IDS, STRONG_ONES, Stratum
from tracklayer.domain.monitors.words import clock_time, counted, listed, percent

NAMES = {
    "email": "the buyer's email",
    "phone": "the buyer's phone number",
    "external_id": "your customer id (`external_id`)",
    "first_name": "the buyer's first name",
    "last_name": "the buyer's last name",
    "date_of_birth": "the buyer's date of birth",
    "gender": "the buyer's gender",
    "street": "the buyer's street",
    "city": "the buyer's city",
    "state": "the buyer's state",
    "zip": "the buyer's postcode",
    "country": "the buyer's country",
    "client_ip": "the visitor's IP address (`client_ip`)",
    "client_user_agent": "the name of the visitor's browser (`client_user_agent`)",
    "fbp": "the id that Meta gave to the browser (`fbp`)",
    "ttp": "the id that TikTok gave to the browser (`ttp`)",
    "sc_cookie1": "the id that Snapchat gave to the browser (`sc_cookie1`)",
    "rdt_uuid": "the id that Reddit gave to the browser (`rdt_uuid`)",
    "ga_client_id": "the visitor's id of Google Analytics (`ga_client_id`)",
    "ga_session_id": "the visit's id of Google Analytics (`ga_session_id`)",
}
OF_THE_PAGE = frozenset({"fbp", "ttp", "ga_client_id", "ga_session_id", "sc_cookie1", "rdt_uuid", *CLICK_IDS})
OF_THE_REQUEST = frozenset({"client_ip", "client_user_agent"})
MOST_PLATFORMS = 3  # that are named


class FallLike(Protocol):
    @property
    def identifier(self) -> str: ...
    @property
    def usual(self) -> float: ...
    @property
    def share(self) -> float: ...
    @property
    def events(self) -> int: ...


class Told(NamedTuple):
    title: str
    message: str


F = TypeVar("F", bound=FallLike)
_RANK = {name: place for place, name in enumerate(STRONG_ONES[:3])}


def in_order(falls: Sequence[F]) -> list[F]:
    """What matters most first: what identifies by itself, then what lost most."""
    return sorted(falls, key=lambda fall: (_RANK.get(fall.identifier, 9), fall.share - fall.usual, fall.identifier))


def of_falls(
    event_name: str,
    falls: Sequence[FallLike],
    users: Mapping[str, Sequence[str]],
    where: Sequence[Stratum],
    instead_of: Sequence[Stratum],
    since: datetime,
    denied: tuple[float, float] | None,
    sources: Sequence[str],
) -> Told:
    first = falls[0]
    others = len(falls) - 1
    place = _place(where, instead_of, sources)
    ids = [fall.identifier for fall in falls]
    title = f"{event_name}: {_only(first.share)} carry {_title_of(first.identifier)} instead of {percent(first.usual)}"
    if others:
        title += f", and {counted(others, 'more identifier')} fell"
    more = f" {_listed(falls[1:])}." if others else ""
    fewer = "far fewer" if first.identifier in STRONG_ONES else "fewer"
    lost = max(1, round((first.usual - first.share) * first.events))
    return Told(
        title,
        f"Since {clock_time(since)} {_only(first.share)} of your {event_name} events{place} carry {_name(first.identifier)},"
        f" where {percent(first.usual)} did before: about {lost} of {counted(first.events, 'event')} lost it."
        f" {_platforms(falls, users)} {fewer} people to ads while that lasts; {_next_step(ids)}{more}{_of_denied(denied)}"
        " Only events of people who consent are counted; the chance of such a fall without a cause is below one in ten"
        " million.",
    )


def of_refusals(event_name: str, share: float, usual: float, since: datetime) -> Told:
    return Told(
        f"{event_name}: {percent(share)} of people refuse consent instead of {percent(usual)}",
        f"Since {clock_time(since)} {percent(share)} of the people behind your {event_name} events refuse consent, where"
        f" {percent(usual)} did before. Nothing of theirs may be used to match ads, so that hardly a conversion counts while that"
        " lasts; whoever changed the consent banner must look at whether it still lets people agree, and whether `consent`"
        " is passed on as they chose.",
    )


def _only(share: float) -> str:
    return "none" if not share else f"only {percent(max(share, 0.01))}"


def _title_of(identifier: str) -> str:
    return "an email" if identifier == "email" else f"a {identifier}" if identifier in ("phone", "zip") else identifier


def _name(identifier: str) -> str:
    return NAMES.get(identifier, f"`{identifier}`")


def _place(where: Sequence[Stratum], instead_of: Sequence[Stratum], sources: Sequence[str]) -> str:
    hosts = [host for host in dict.fromkeys(host for _, host in where) if host and host != OTHERS]
    parts = []
    if hosts:
        parts.append(f" on {listed(hosts[:3])}")
    named = [source for source in sources if source != OTHERS]
    if named:
        parts.append(f" (action source {listed(named)})" if hosts else f" with the action source {listed(named)}")
    olds = [host for host in dict.fromkeys(host for _, host in instead_of) if host and host != OTHERS]
    if olds:
        parts.append(f", which took the place of {listed(olds[:3])},")
    return "".join(parts)


def _platforms(falls: Sequence[FallLike], users: Mapping[str, Sequence[str]]) -> str:
    titles = list(dict.fromkeys(title for fall in falls for title in users.get(fall.identifier, ())))
    if not titles:
        return "The ad platforms match"
    if len(titles) > MOST_PLATFORMS:
        return f"{', '.join(titles[:2])} and {len(titles) - 2} more platforms match"
    return f"{listed(titles)} {'match' if len(titles) > 1 else 'matches'}"


def _next_step(ids: Sequence[str]) -> str:
    if all(name in OF_THE_REQUEST for name in ids):
        return f"whoever changed the server that sends these events must pass {_quoted(ids)} of the visitor again."
    if all(name in OF_THE_PAGE for name in ids):
        return "whoever changed the pages or their tags must load tl.js again" + (
            ", and keep the parameters of links from ads." if not set(CLICK_IDS).isdisjoint(ids) else "."
        )
    own = [name for name in ids if name not in OF_THE_PAGE]
    return f"whoever changed the checkout, or what sends these events, must pass {_quoted(own)} again."


def _quoted(ids: Sequence[str]) -> str:
    names = [f"`{name}`" for name in ids]
    return listed(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _listed(falls: Sequence[FallLike]) -> str:
    return "Also " + ", ".join(
        f"`{fall.identifier}` {percent(fall.share)} instead of {percent(fall.usual)}" for fall in falls
    )


def _of_denied(denied: tuple[float, float] | None) -> str:
    if denied is None:
        return ""
    return f" {percent(denied[0])} of people now refuse consent; {percent(denied[1])} is usual."
