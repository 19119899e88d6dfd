"""Sends a purchase to TrackLayer and reads what became of it. Needs Python 3.9 or newer, and nothing else.

API_KEY=tl_... python send_order.py [EVENT_ID]
"""

import http.client
import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

URL = os.environ.get("API_URL", "http://127.0.0.1:8000") + "/graphql"
API_KEY = os.environ.get("API_KEY") or sys.exit("set API_KEY to an API key of yours")
ATTEMPTS = 8
RETRIED = {408, 429, 500, 502, 503, 504}

SEND = """
mutation SendEvent($input: IngestEventInput!) {
  ingestEvent(input: $input) {
    outcome
    userErrors { field code message }
  }
}
"""
ASK = """
query EventStatus($eventId: String!) {
  event(eventId: $eventId) {
    deliveries { platform status dropReason }
  }
}
"""


def ask(query, variables):
    """The answer's data. What may have been lost on the way is sent again, byte for byte: a repeat of an event is only counted."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"authorization": f"Bearer {API_KEY}", "content-type": "application/json"}
    for attempt in range(ATTEMPTS):
        wait = min(2**attempt, 60)
        try:
            with urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=30) as response:
                answer = json.load(response)
            if isinstance(answer, dict) and "errors" in answer:
                raise SystemExit(f"refused: {answer['errors']}")
            if isinstance(answer, dict) and "data" in answer:
                return answer["data"]
        except urllib.error.HTTPError as error:
            if error.code not in RETRIED:
                raise SystemExit(f"status {error.code}: {error.read().decode()}") from None
            after = error.headers.get("retry-after") or ""
            wait = max(wait, int(after) if after.isdecimal() else 0)
        except (OSError, http.client.HTTPException, ValueError):
            pass  # nobody answered, or half an answer came, or a proxy's page: it may have been stored, so ask again
        time.sleep(wait + random.random())
    raise SystemExit("TrackLayer does not answer: keep the event, and send it again later")


event = {
    "eventName": "Purchase",
    # Your order's id: the same whenever this order is sent, so that it is counted once.
    "eventId": sys.argv[1] if len(sys.argv) > 1 else f"order_{int(time.time())}",
    "occurredAt": datetime.now(timezone.utc).isoformat(),
    "eventSourceUrl": "https://shop.example.com/thank-you",
    "userData": {
        "email": "jane@example.com",
        "clientIp": "203.0.113.42",
        "clientUserAgent": "Mozilla/5.0",
        "gaClientId": "1234567890.1713877200",
    },
    "customData": {"value": 129.99, "currency": "USD"},
}
result = ask(SEND, {"input": event})["ingestEvent"]
print(event["eventId"], result["outcome"])
for problem in result["userErrors"]:  # why it was rejected, or warnings beside an accepted event
    print(problem["code"], problem["message"], file=sys.stderr)
if result["outcome"] == "REJECTED":
    sys.exit(1)

for _ in range(60):
    found = ask(ASK, {"eventId": event["eventId"]})["event"]
    deliveries = found["deliveries"] if found else []
    if all(delivery["status"] in ("DELIVERED", "DROPPED") for delivery in deliveries):
        break
    time.sleep(0.5)
for delivery in deliveries:
    print(delivery["platform"], delivery["status"], delivery["dropReason"] or "")
