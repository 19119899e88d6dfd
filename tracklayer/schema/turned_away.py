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
from tracklayer.domain.monitors.refused_requests import CODES, WHOLE, of_key
from tracklayer.runtime import Runtime
from tracklayer.schema import errors
from tracklayer.schema.sent import Sent
from tracklayer.services.merchants import hash_of_key

_SENDS = "ingestEvent"  # and ingestEvents
# A field of a document, and the variable that an ``ingestEvents`` takes its list from; the first group: it is no field.
_CALL = re.compile(
    r"(\b(?:mutation|query|subscription|fragment|on)\s++|\.\.\.\s*+|[$@])?"
    r"\bingestEvent(s?)\b(?!\s*:)(?:\s*\(\s*inputs\s*:\s*\$(\w+))?"
)
# Texts and comments; what does not end is one, too: else each quotation mark would be looked behind to the end of them all.
_TEXTS = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|"(?:[^"\\\n]|\\.)*+"?|#[^\n]*', re.DOTALL)
_LOOKED_AT = 64 * 1024  # characters of a document: no longer one is executed
MOST_OF_CALL = 1_000  # events of a call that are counted: no call takes more
MOST = 2_000  # and of a request


def takes_events_in(query: str) -> bool:
    """Whether an operation may be one of those whose refusal is counted."""
    return _SENDS in query


def count_answer(runtime: Runtime, holder: KeyHolder | None, sent: Sent, answer: Mapping[str, Any]) -> None:
    """An answer in objects: counted where the request, or what was to take its events in, was refused."""
    if answer.get("data") is not None:
        return
    for error in answer.get("errors", ()):
        code, path = error.get("extensions", {}).get("code"), error.get("path")
        if code in CODES and (
            path is None or len(path) == 1
        ):  # deeper: it was taken in, and its answer could not be told
            count_refused(runtime, holder, sent, code)
            return


def count_refused(runtime: Runtime, holder: KeyHolder | None, sent: Sent | None, code: str) -> None:
    """A request that was refused with a code. ``sent`` of None: its body was not read."""
    if holder is None or holder.session is not None or code not in CODES:
        return
    count = _events_in(holder, sent, code)
    if not count:
        return
    now = runtime.clock.now()
    counting, minute = runtime.counting, int(now.timestamp()) // 60
    if sent is not None and sent.body:
        known = f"request {sha256(sent.body).hexdigest()}"
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
        where = of_key(key_id) if runtime.counting.turned_away.is_named(merchant_id, minute, key_id) else WHOLE
        runtime.counting.turned_away.add((merchant_id, minute, errors.UNAUTHENTICATED, where), 1)


def _events_in(holder: KeyHolder, sent: Sent | None, code: str) -> int:
    """How many it was to bring, as far as it can be known; 0: it was to bring none.

    A key that may not send has no events to lose: its requests count, one each, so that its merchant is told.
    """
    may_send = "ingest" in holder.scopes
    if sent is None or not sent.body:
        return int(may_send)
    if _SENDS.encode() not in sent.body:
        return int(may_send and code == errors.BAD_REQUEST)
    request = sent.known
    query = request.get("query") if isinstance(request, dict) else None
    if not isinstance(query, str):
        return int(may_send)
    variables = request.get("variables")
    count = 0
    for no_field, many, name in _CALL.findall(_TEXTS.sub(" ", query[:_LOOKED_AT])):
        if not no_field:
            listed = variables.get(name) if many and isinstance(variables, dict) else None
            count += _most_in(listed) if isinstance(listed, list) else 1
    if not count:
        return int(may_send and code == errors.BAD_REQUEST)
    return min(count, MOST) if may_send else 1


def _most_in(listed: list[Any]) -> int:
    return sum(isinstance(event, dict) for event in listed[:MOST_OF_CALL]) or 1
