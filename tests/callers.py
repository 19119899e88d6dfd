"""Callers of the API in a process of their own: ``python -m tests.callers JOB``, so that they take no turn of the server's.

JOB is JSON: ``port``, ``key``, ``callers``, ``events`` (of one call), ``prefix`` (of the events' ids) and ``calls`` (of each
caller) or none, for as long as standard input stays open. Prints JSON: the milliseconds of each call, and how many calls
had which status.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

from tests.factories import INGEST, INGEST_MANY, camel, draft

MARK = "0123456789"  # in the body's ids, for a number of each call's own


def bodies(job: dict[str, Any], caller: int) -> str:
    """The body of a caller's calls; ``MARK`` stands where the call's number goes."""
    user_data = {
        "email": "jane@example.com",
        "phone": "+1 650 555 0123",
        "first_name": "Jane",
        "last_name": "Doe",
        "zip": "94107",
        "client_ip": "203.0.113.42",
    }
    names = [f"{job['prefix']}_{caller}_{MARK}_{n}" for n in range(job["events"])]
    events = [camel(draft(name, user_data=user_data, occurred_at=job["occurred_at"])) for name in names]
    variables = {"input": events[0]} if job["events"] == 1 else {"inputs": events}
    return json.dumps({"query": INGEST if job["events"] == 1 else INGEST_MANY, "variables": variables})


async def call_on(job: dict[str, Any], caller: int, took: list[float], statuses: Counter[str]) -> None:
    """One caller: its calls, one after another, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", job["port"])
    body = bodies(job, caller)
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {job['key']}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    for number in range(job.get("calls") or 10**9):
        sent = (head + body.replace(MARK, f"{number:010d}")).encode()
        begun = time.perf_counter()
        writer.write(sent)
        await writer.drain()
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(line for line in answer.lower().split("\r\n") if line.startswith("content-length:"))
        content = await reader.readexactly(int(length.partition(":")[2]))
        took.append((time.perf_counter() - begun) * 1000)
        outcome = "accepted" if b'"ACCEPTED"' in content else "not accepted"
        statuses[f"{answer.split(' ', 2)[1]} {outcome}"] += 1
        await asyncio.sleep(job.get("pause", 0))


async def main(job: dict[str, Any]) -> None:
    took: list[float] = []
    statuses: Counter[str] = Counter()
    callers = [asyncio.create_task(call_on(job, caller, took, statuses)) for caller in range(job["callers"])]
    if job.get("calls"):
        await asyncio.gather(*callers)
    else:
        await asyncio.to_thread(sys.stdin.read)
        # On a busy machine even the first answer may still be on its way.
        while not statuses["200 accepted"]:  # noqa: ASYNC110 - it counts what all of them are told
            await asyncio.sleep(0.01)
        for caller in callers:
            caller.cancel()
    print(json.dumps({"took": took, "statuses": statuses}))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
