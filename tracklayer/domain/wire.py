"""What the server and the doors behind it agree on, and what a process that serves nobody need not load the doors for."""

from __future__ import annotations

from urllib.parse import unquote

API = "/graphql"
API_PATHS = (API, API + "/")
RETRY_AFTER_SECONDS = 2  # told to whoever is to come again
COME_AGAIN = frozenset({408, 429, 503})  # statuses with which nothing was taken, and the same request may pass later
# Of a connection that is refused before anybody has read what it wants: the code beside the status.
REFUSED_AS = {400: "BAD_REQUEST", 408: "TOO_SLOW", 431: "TOO_LARGE", 503: "OVERLOADED"}
STRANGER_BODY = 16 * 1024  # bytes, of whoever sends no key
STREAM_BODY = 64 * 1024  # of what is answered by a stream: it may be there for hours
# In a message of a socket that stands for one that the server does not take: (closing code, reason). Who speaks with it closes it.
REFUSED = "tracklayer.refused"
BEHIND = (
    "tracklayer.behind"  # in a socket's scope: takes whom the server tells each message that comes behind the closing
)
ADMITTED = "tracklayer.admitted"  # in a socket's scope: what the server is told once it is known who speaks, with their merchant
COUNTED = (
    "tracklayer.counted"  # in a request's scope: it is refused, and whoever came first counts what it was to bring
)
HOLDER = "tracklayer.holder"  # in a request's scope: whose key came with it
TAKEN = "tracklayer.taken"  # in a socket's scope: what is waited for until its client has read all but the last that it was told


def query_to_api(target: bytes) -> bytes | None:
    """What stands behind the question mark of a request to the API; None: it goes elsewhere.

    ``target``: as it came, a path or a whole address (RFC 9112, 3.2), escaped as its sender liked.
    """
    address, _, query = target.partition(b"#")[0].partition(b"?")
    if not address.startswith(b"/"):
        address = b"/" + address.partition(b"://")[2].partition(b"/")[2]
    return query if unquote(address.decode("latin-1")) in API_PATHS else None
