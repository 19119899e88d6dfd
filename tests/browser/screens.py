"""A merchant with something on every screen, and the screens by the names that their pictures have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.browser.installation import Installation, Shop, purchase
from tests.servers import wait_until

PLATFORMS = ("meta", "google_ads", "tiktok", "ga4", "pinterest")
ALERTS = "{ alerts(filter: {state: OPEN, kind: PLATFORM_DOWN}) { nodes { id platform } } }"


@dataclass(frozen=True)
class LivedIn:
    """``paths``: of every screen, by name."""

    shop: Shop
    paths: Mapping[str, str]


def lived_in(installed: Installation) -> LivedIn:
    """A merchant whose conversions mostly arrive: LinkedIn refuses the token, Meta refused an order, one came twice."""
    shop = installed.new_shop("Blue Door Furniture", *PLATFORMS)
    shop.set_destination("linkedin", access_token="expired-token")
    installed.fault("meta", "refuse", event_ids=["order-1007", "order-1013"])
    now = datetime.now(UTC)
    events = [
        purchase(
            f"order-{number}",
            eventName=("Purchase", "AddToCart", "Purchase", "Lead", "InitiateCheckout")[number % 5],
            occurredAt=(now - timedelta(minutes=3 * (1041 - number))).isoformat(),
            customData={"value": f"{number % 7 * 20 + 9}.90", "currency": "EUR", "orderId": str(number)},
        )
        for number in range(1001, 1041)
    ]
    again = {**events[11], "customData": {"value": "80.00", "currency": "EUR"}}
    shop.ingest(*events)
    shop.ingest(again)
    shop.wait_for("order-1040", "META", "DELIVERED")
    shop.wait_for("order-1007", "META", "FAILED")

    def alerts() -> list[str]:
        return [alert["id"] for alert in shop.ask(ALERTS)["alerts"]["nodes"] if alert["platform"] == "LINKEDIN"]

    wait_until(lambda: len(alerts()) == 1, "the outage to be told")
    installed.mend()
    (alert,) = alerts()
    paths = {
        "home": "/",
        "events": "/events",
        "event": "/events/order-1007",
        "deliveries": "/deliveries",
        "notifications": "/notifications",
        "alert": f"/notifications/{alert}",
        "destinations": "/destinations",
        "destination": "/destinations/meta",
        "settings": "/settings",
        "not-found": "/destinations/nowhere",
    }
    return LivedIn(shop, paths)
