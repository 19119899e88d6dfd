"""Requests that were to bring events and were refused as a whole: what each code of theirs means, and what to do."""

from __future__ import annotations

from tracklayer.domain.problem import Meaning

WHOLE = "request"  # stands where the field of an event would
_KEY = "key "

# By the code of the answer. Others are nobody's mistake: what is away, or too busy, wants the same request again; so does what
# came too slowly, but not a body of which nothing more comes.
CODES: dict[str, Meaning] = {
    "UNAUTHENTICATED": Meaning(
        "The API key was revoked.", "Have the shop send with a valid key of scope INGEST (`createApiKey`)."
    ),
    "FORBIDDEN": Meaning("The API key lacks the scope INGEST.", "Have the shop send with a key of scope INGEST."),
    "TOO_LARGE": Meaning(
        "Status 413: the body has more than 4 MiB, or the query in it more than 64 KiB; status 431: the headers have more than 64 KiB; closing code 1009: a message of a WebSocket has more than 64 KiB.",
        "Send fewer events at once: batches have become larger than a body may be; events belong into `variables`.",
    ),
    "TOO_SLOW": Meaning(
        "Status 408: a body stopped before it had all the bytes that its Content-Length announced.",
        "Send the number of the body's bytes as Content-Length, which a proxy that rewrites bodies has to correct.",
    ),
    "BAD_REQUEST": Meaning(
        "The body is no GraphQL request as JSON, or is not sent as `application/json`; or the request is no HTTP.",
        'Send `{"query": ..., "variables": {...}}` as `application/json`, and the number of its bytes as Content-Length.',
    ),
    "GRAPHQL_PARSE_FAILED": Meaning(
        "The query is not GraphQL.", "Correct the query: send events in `variables`, not as text in it."
    ),
    "GRAPHQL_VALIDATION_FAILED": Meaning(
        "The query does not fit the schema: a field that does not exist, or a literal of another kind.",
        "Correct the query as the answer to it says, and send events in `variables`.",
    ),
    "OPERATION_RESOLUTION_FAILURE": Meaning(
        "`operationName` names no operation of the document.", "Send the name of the operation that is meant."
    ),
    "BAD_USER_INPUT": Meaning(
        "A variable is missing or of another kind, or a call has more than 1,000 events.",
        "Send the variables that the query declares, and at most 1,000 events in a call.",
    ),
    "TOO_DEEP": Meaning("The operation goes too many fields deep.", "Ask for less in the answer."),
    "TOO_MANY_ALIASES": Meaning("The operation has too many aliases.", "Send many events with `ingestEvents`."),
    "TOO_COMPLEX": Meaning("The operation has too many fragments or fields.", "Send many events with `ingestEvents`."),
    "TOO_COSTLY": Meaning("The operation asks for too much in its answer.", "Ask for less in the answer."),
}

_GONE = Meaning(
    "The events were not taken in at that moment, or it is not known whether they were, and their sender had left its WebSocket, or ended the operation, before it could be told to send them again.",
    "Send them again; have the shop wait for the answers to its events before it closes a WebSocket or ends an operation.",
)
# What wants the same request again is a refusal all the same where nobody could hear so.
UNHEARD: dict[str, Meaning] = dict.fromkeys(("RATE_LIMITED", "OVERLOADED", "DATABASE_AWAY", "KEY_AWAY"), _GONE)


def of_key(key_id: int) -> str:
    """What stands in a field's place where a key is the cause."""
    return f"{_KEY}{key_id}"


def key_of(where: str) -> int | None:
    """The id that ``of_key`` wrote."""
    number = where.removeprefix(_KEY)
    return int(number) if where.startswith(_KEY) and number.isdigit() else None


def meaning_of(code: str, where: str) -> Meaning | None:
    """None where ``where`` is a field of an event."""
    return (CODES.get(code) or UNHEARD.get(code)) if where == WHOLE or key_of(where) is not None else None
