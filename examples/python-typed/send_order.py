"""Sends a purchase to TrackLayer and reads what became of it, by a client made from the schema. README.md says how it is made.

API_KEY=tl_... python send_order.py [EVENT_ID]
"""

import os
import random
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import TypeVar

import httpx
from tracklayer_client import (
    Client,
    CustomDataInput,
    DeliveryStatus,
    GraphQLClientError,
    GraphQLClientHttpError,
    GraphQLClientInvalidResponseError,
    IngestEventInput,
    IngestOutcome,
    UserDataInput,
)

ATTEMPTS = 8
RETRIED = {408, 429, 500, 502, 503, 504}
URL = os.environ.get("API_URL", "http://127.0.0.1:8000") + "/graphql"
API_KEY = os.environ.get("API_KEY") or sys.exit("set API_KEY to an API key of yours")
T = TypeVar("T")


def sure(ask: Callable[[], T]) -> T:
    """What is answered. What may have been lost on the way is sent again as it was: a repeat of an event is only counted."""
    for attempt in range(ATTEMPTS):
        wait = min(2**attempt, 60)
        try:
            return ask()
        except GraphQLClientHttpError as error:
            if error.status_code not in RETRIED:
                raise SystemExit(f"status {error.status_code}: {error.response.text}") from None
            after = error.response.headers.get("retry-after", "")
            wait = max(wait, int(after) if after.isdecimal() else 0)
        except (httpx.TransportError, GraphQLClientInvalidResponseError):
            pass  # nobody answered, or half an answer came: it may have been stored, so ask again
        except GraphQLClientError as error:
            raise SystemExit(f"refused: {error}") from None
        time.sleep(wait + random.random())
    raise SystemExit("TrackLayer does not answer: keep the event, and send it again later")


client = Client(URL, headers={"authorization": f"Bearer {API_KEY}"})
event = IngestEventInput(
    event_name="Purchase",
    # Your order's id: the same whenever this order is sent, so that it is counted once.
    event_id=sys.argv[1] if len(sys.argv) > 1 else f"order_{int(time.time())}",
    occurred_at=datetime.now(timezone.utc),
    event_source_url="https://shop.example.com/thank-you",
    user_data=UserDataInput(
        email="jane@example.com",
        client_ip="203.0.113.42",
        client_user_agent="Mozilla/5.0",
        ga_client_id="1234567890.1713877200",
    ),
    custom_data=CustomDataInput(value=Decimal("129.99"), currency="USD"),
)
result = sure(lambda: client.send_event(event)).ingest_event
print(event.event_id, result.outcome.value)
for problem in result.user_errors:  # why it was rejected, or warnings beside an accepted event
    print(problem.code, problem.message, file=sys.stderr)
if result.outcome == IngestOutcome.REJECTED:
    sys.exit(1)

for _ in range(60):
    found = sure(lambda: client.event_status(event.event_id)).event
    deliveries = found.deliveries if found else []
    if all(delivery.status in (DeliveryStatus.DELIVERED, DeliveryStatus.DROPPED) for delivery in deliveries):
        break
    time.sleep(0.5)
for delivery in deliveries:
    print(delivery.platform.value, delivery.status.value, delivery.drop_reason.value if delivery.drop_reason else "")
