"""Where the dashboard is: which ``Host`` names it, and whether a request was made by a page of its own.

A browser sends a cookie along with whatever request any page makes, so a cookie alone says nothing of who asks. It counts
only where the browser says that a page of the same origin asked; another page on the same site (a shop, say) does not do.
Values of headers in, verdicts out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

Headers = Iterable[tuple[bytes, bytes]]  # names in lower case, as ASGI has them

_LOOPBACK = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})
_HOST = re.compile(rb"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253})(?::[0-9]{1,5})?")
_SESSION = re.compile(rb"[A-Za-z0-9_-]{43}")  # 32 random bytes
_WANTED = (b"host", b"sec-fetch-site", b"origin", b"content-type")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own_machine(host: bytes) -> bool:
    """Whether a ``Host`` header names this machine by its own name, with any port."""
    found = _HOST.fullmatch(host.lower())
    return found is not None and found[1] in _LOOPBACK


@dataclass(frozen=True)
class Site:
    """``origin``: of the public URL. ``cookie``: the name of the one that holds a session."""

    public_url: str
    origin: bytes
    host: bytes
    cookie: bytes
    is_secure: bool

    @classmethod
    def at(cls, public_url: str) -> Self:
        parts = urlsplit(public_url)
        scheme, name = parts.scheme.lower(), (parts.hostname or "").lower()
        try:
            port = parts.port
            name = name if name.isascii() else name.encode("idna").decode()
        except ValueError:  # then nobody finds it there, and loopback names are left
            port, name = None, ""
        if port == _DEFAULT_PORTS.get(scheme):
            port = None
        host = f"[{name}]" if ":" in name else name
        suffix = f":{port}" if port is not None else ""
        is_secure = scheme == "https"
        # Cookies know no port: two installations on one machine would sign each other out.
        cookie = "__Host-tracklayer" if is_secure else "tracklayer" if port is None else f"tracklayer-{port}"
        return cls(public_url, f"{scheme}://{host}{suffix}".encode(), host.encode(), cookie.encode(), is_secure)

    def is_named_by(self, host: bytes) -> bool:
        """Whether a ``Host`` header names it: by the public URL's name or one of this machine's own, with any port.

        A page whose own name was pointed at this machine (DNS rebinding) names another.
        """
        found = _HOST.fullmatch(host.lower())
        return found is not None and (found[1] == self.host or found[1] in _LOOPBACK)

    def is_own(self, headers: Headers) -> bool:
        """Whether a request was made by a page of its own, or by no page at all."""
        sent = _sent(headers)
        return sent is not None and self._is_own(sent)

    def sessions_in(self, headers: Headers) -> list[str]:
        """What might be the session, of the cookies that have its name, where they count; each once.

        Without TLS another page of the same host can set one of that name, for a narrower path: a browser sends both. So
        there may be several, and which one is a session is for whoever asks to find out.
        """
        headers = list(headers)
        found: dict[str, None] = {}
        for name, value in headers:
            if name == b"cookie" and self.cookie in value:
                for part in value.split(b";"):
                    key, _, held = part.partition(b"=")
                    if key.strip() == self.cookie and _SESSION.fullmatch(held.strip()):
                        found[held.strip().decode()] = None
        return list(found) if found and self.is_own(headers) else []

    def _is_own(self, sent: dict[bytes, bytes]) -> bool:
        host = sent.get(b"host", b"").lower()
        if not self.is_named_by(host):
            return False
        if b"sec-fetch-site" in sent:
            return sent[b"sec-fetch-site"] == b"same-origin"
        if b"origin" in sent:
            return sent[b"origin"] in self._origins(host)
        # A browser that says neither: no page of another origin can send this without asking first, and then it names itself.
        return sent.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"application/json"

    def _origins(self, host: bytes) -> tuple[bytes, ...]:
        if host.partition(b":")[0] in _LOOPBACK or host.startswith(b"[::1]"):
            return (self.origin, b"http://" + host, b"https://" + host)
        return (self.origin,)


def _sent(headers: Headers) -> dict[bytes, bytes] | None:
    """What a verdict needs of the headers; None where one of them came twice with different values."""
    sent: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _WANTED and sent.setdefault(name, value) != value:
            return None
    return sent
