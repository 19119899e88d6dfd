"""The last requests to the platforms, shown without credentials."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tracklayer.sandbox.platforms.base import Call

LARGEST_BODY = 64 * 1024  # bytes; of a larger request only the size is kept
REDACTED = "•••"
# How OAuth 2.0 (RFC 6749 and 7523) and HTTP name what nobody may see; a platform's own names come on top.
SECRET_NAMES = frozenset(
    (
        "authorization",
        "cookie",
        "access_token",
        "refresh_token",
        "client_secret",
        "assertion",
        "client_assertion",
    )
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request; ``status`` is None where no answer was begun, ``fault`` the kind that decided it."""

    platform: str
    call: Call
    status: int | None
    fault: str | None
    items: int
    accepted: int
    body_bytes: int
    secret_names: frozenset[str]

    def public(self) -> dict[str, Any]:
        """The JSON of one of ``requests`` in ``GET /_requests``."""
        return {
            "seq": self.call.serial,
            "platform": self.platform,
            "method": self.call.method,
            "path": self.call.path,
            "query": self._redacted(self.call.query),
            "status": self.status,
            "fault": self.fault,
            "items": self.items,
            "accepted": self.accepted,
            "received_at": self.call.now,
            "headers": self._redacted(self.call.headers),
            "body": self._body(),
            "body_bytes": self.body_bytes,
        }

    def _body(self) -> Any:
        """None where there is none, it was too large to keep, or it is not in a form that can be redacted."""
        if not self.call.body:
            return None
        if self.call.has_form():
            return self._redacted(self.call.form())
        try:
            return self._redacted(self.call.json())
        except ValueError:
            return None

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: REDACTED if key.lower() in self.secret_names else self._redacted(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._redacted(inner) for inner in value]
        return value


class Journal:
    """Remembers the last ``size`` requests."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)

    def clear(self) -> None:
        self._entries.clear()

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def page(self, platform: str | None, limit: int) -> list[Entry]:
        """The newest, newest last."""
        found = (entry for entry in self._entries if platform in (None, entry.platform))
        return list(deque(found, maxlen=limit))
