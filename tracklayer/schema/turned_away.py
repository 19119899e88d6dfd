"""Counts events that are refused with the whole of their request, for their merchant's alerts: beside the answer.

Only of who sends with a key, also a revoked one: a stranger's requests count for nobody. What wants the same request again
(``DATABASE_AWAY``, ``OVERLOADED``, ``RATE_LIMITED``) is no refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tracklayer.db.merchants import KeyHolder
from tracklayer.domain.json_text import read_json
from tracklayer.domain.monitors.refused_requests import CODES, WHOLE, of_key
from tracklayer.runtime import Runtime
from tracklayer.schema import errors
from tracklayer.services.merchants import hash_of_key

_FIELD = re.compile(r"(?<!mutation)\s(?:\w+\s*:\s*)?ingestEvent\s*\(|[{,:]\s*ingestEvent\s*\(")
_SENDS = "ingestEvent"  # and ingestEvents
MOST = 100_000  # events of one request that are counted


def takes_events_in(query: str) -> bool:
    """Whether an operation may be one of those whose refusal is counted."""
    return _SENDS in query


def count_answer(runtime: Runtime, holder: KeyHolder | None, body: bytes | None, answer: Mapping[str, Any]) -> None:
    """An answer in objects: counted where the request, or what was to take its events in, was refused."""
    if answer.get("data") is not None:
        return
    for error in answer.get("errors", ()):
        code, path = error.get("extensions", {}).get("code"), error.get("path")
        if code in CODES and (
            path is None or len(path) == 1
        ):  # deeper: it was taken in, and its answer could not be told
            count_refused(runtime, holder, body, code)
            return


def count_refused(runtime: Runtime, holder: KeyHolder | None, body: bytes | None, code: str) -> None:
    """A request that was refused with a code. ``body`` of None: it was not read."""
    if holder is None or holder.session is not None or code not in CODES or not _wants_to_send(holder, body, code):
        return
    now = runtime.clock.now()
    counting, minute = runtime.counting, int(now.timestamp()) // 60
    count = 1
    if body:
        count = _events_in(body)
        known = f"request {sha256(body).hexdigest()}"
        if not counting.refused_ids.is_new(holder.merchant_id, known, minute // 60):  # as an event that is sent again
            counting.turned_away.add((holder.merchant_id, minute, None, None), count)
            return
    counting.turned_away.add((holder.merchant_id, minute, code, WHOLE), count)


def count_revoked(runtime: Runtime, authorization: str) -> None:
    """A request with a key that is none any more. Where it was revoked, and could send, its merchant is told."""
    key = authorization.partition(" ")[2].strip()
    found = runtime.counting.turned_away.revoked(hash_of_key(key)) if key else None
    if found is not None and found[2]:
        merchant_id, key_id, _ = found
        minute = int(runtime.clock.now().timestamp()) // 60
        runtime.counting.turned_away.add((merchant_id, minute, errors.UNAUTHENTICATED, of_key(key_id)), 1)


def _wants_to_send(holder: KeyHolder, body: bytes | None, code: str) -> bool:
    if body and _SENDS.encode() in body:
        return True
    return (not body or code == errors.BAD_REQUEST) and "ingest" in holder.scopes


def _events_in(body: bytes) -> int:
    """As far as it can be known: the lists of ``ingestEvents``, else a call is an event."""
    try:
        sent = read_json(body)
    except ValueError:
        return 1
    if not isinstance(sent, dict) or not isinstance(sent.get("query"), str):
        return 1
    query, variables = sent["query"], sent.get("variables")
    listed = [value for value in variables.values() if isinstance(value, list)] if isinstance(variables, dict) else []
    return min(MOST, max(1, len(_FIELD.findall(query[: 64 * 1024])) + sum(map(len, listed))))
