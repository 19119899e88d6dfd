"""Meta's own Python SDK (``facebook-business``) on the event of ``bench map``: what a shop's own code would do with it.

A script for an interpreter that has the SDK, which ours need not be: it imports nothing of ours. From standard input it
reads the event, a line of JSON whose time is in Unix seconds as the SDK wants it, then numbers of events, a line each.
It writes the SDK's version (an empty line: it is not here), then for each number the seconds that so many took.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

try:
    from facebook_business import __version__ as version
    from facebook_business.adobjects.serverside.action_source import ActionSource
    from facebook_business.adobjects.serverside.custom_data import CustomData
    from facebook_business.adobjects.serverside.event import Event
    from facebook_business.adobjects.serverside.user_data import UserData
except ImportError:
    version = ""


def work_off(line: str) -> str:
    """Line in, body of the request out."""
    given: dict[str, Any] = json.loads(line)
    person, custom = given["user_data"], given["custom_data"]
    event = Event(
        event_name=given["event_name"],
        event_time=given["occurred_at"],
        event_id=given["event_id"],
        event_source_url=given["event_source_url"],
        action_source=ActionSource.WEBSITE,
        user_data=UserData(
            email=person["email"],
            phone=person["phone"],
            client_ip_address=person["client_ip"],
            client_user_agent=person["client_user_agent"],
            fbp=person["fbp"],
        ),
        custom_data=CustomData(
            value=custom["value"],
            currency=custom["currency"],
            order_id=custom["order_id"],
            content_ids=custom["product_ids"],
            num_items=custom["num_items"],
            content_type="product",
        ),
    )
    return json.dumps({"data": [event.normalize()]})


def seconds_of(events: int, step: Callable[[], object]) -> float:
    """Of the processor, not of the clock: what else the machine does meanwhile is not measured."""
    started = time.process_time()
    for _ in range(events):
        step()
    return time.process_time() - started


def _answer() -> None:
    print(version, flush=True)
    line = sys.stdin.readline()
    gc.disable()  # as for all that it stands beside
    for events in sys.stdin:
        print(seconds_of(int(events), lambda: work_off(line)), flush=True)


if __name__ == "__main__" and version:
    _answer()
