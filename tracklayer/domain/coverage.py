"""Which share of a name's events carries which identifier, from the counts of their facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracklayer.domain.facts import BITS, IDENTIFIERS, mask_of

# Those that find somebody by themselves: an address, a number, a click, the merchant's own id for a customer.
STRONG = (
    *("email", "phone", "external_id", "fbc", "fbclid", "ttclid", "gclid", "gbraid", "wbraid", "epik", "sc_click_id"),
    *("li_fat_id", "rdt_cid", "msclkid", "twclid"),
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """``shares``: identifier -> 0 to 1 of ``events``, those of people who did not deny consent. ``enriched``: likewise of what was
    added to them; what was added to none is missing.
    """

    events: int
    shares: Mapping[str, float]
    enriched: Mapping[str, float]
    any_strong: float


def coverage_of(
    facts: Mapping[int, int], added: Mapping[int, int], identifiers: Sequence[str] = IDENTIFIERS
) -> Coverage:
    """From facts -> events, of what they brought and of what was ``added``. ``identifiers``: the ones that matter, such as those
    that a platform uses.
    """
    denied = BITS["consent_denied"]
    brought = {bits: events for bits, events in facts.items() if not bits & denied}
    total = sum(brought.values())

    def share(found: Mapping[int, int], mask: int) -> float:
        with_it = sum(events for bits, events in found.items() if bits & mask)
        return round(min(1.0, with_it / total), 4) if total else 0.0

    strong = mask_of(name for name in STRONG if name in identifiers)
    shares = {name: share(brought, BITS[name]) for name in identifiers}
    enriched = {name: found for name in identifiers if (found := share(added, BITS[name]))}
    return Coverage(total, shares, enriched, share(brought, strong))
