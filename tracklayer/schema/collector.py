"""What a merchant's collector is set to, as callers get to see it."""

from __future__ import annotations

from typing import Any

import strawberry

from tracklayer.db.models import MerchantRow
from tracklayer.domain.collector import COOKIE, address_of, lifetime_of, snippet
from tracklayer.domain.collector import Collector as Settings
from tracklayer.runtime import Runtime
from tracklayer.schema.access import READ


def _field(description: str) -> Any:
    return strawberry.field(metadata=READ, description=description)


@strawberry.type(description="What a shop's pages may tell of the clicks that led to them: `/tl.js` and `/t`.")
class Collector:
    enabled: bool = _field("Whether pages may call.")
    origins: list[str] = _field("The pages that may; no others.")
    cookie_domain: str | None = _field(
        "Whose hosts share the cookie; null: the collector's own host alone, so that the shop's backend sees none.",
    )
    consent_required: bool = _field("Whether nothing is set or kept before a page says that its visitor agreed.")
    public_key: str | None = _field(
        "Names the merchant in its pages, and opens nothing; null until the collector is first enabled."
    )
    cookie_name: str = _field("The cookie that holds a browser's id: a backend sends its value as userData.browserId.")
    cookie_max_age_seconds: int = _field("How long it lives; each call begins that anew.")
    snippet: str | None = _field(
        "The tag to paste into every page, with the host that this installation's settings suggest; null: as publicKey.",
    )


def collector_of(row: MerchantRow, runtime: Runtime) -> Collector:
    found = Settings.read(row.collector)
    address = address_of(found, runtime.settings.collector_hosts, runtime.settings.public_url)
    key = row.public_key
    return Collector(
        enabled=found.enabled,
        origins=list(found.origins),
        cookie_domain=found.cookie_domain,
        consent_required=found.consent_required,
        public_key=key,
        cookie_name=COOKIE,
        cookie_max_age_seconds=int(lifetime_of(row.retention_days).total_seconds()),
        snippet=None if key is None else snippet(address, key, consent_required=found.consent_required),
    )
