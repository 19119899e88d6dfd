"""The sandbox's own doors: setting faults, looking at what arrived, forgetting, help."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tracklayer.sandbox.engine import Engine, read_body
from tracklayer.sandbox.faults import KINDS, FaultError

MOST_ITEMS = 5000  # of one page, so that no single answer grows without bound
FAULT_BYTES = 1024 * 1024  # thousands of event ids

HELP = """\
TrackLayer sandbox: answers as the ad platforms' own APIs would, and remembers what it accepted.

Platforms: {platforms}
Their traffic: {{platform}}{{path of the real API}}, for example

  curl {base}/meta/v26.0/1234567890/events -H 'Content-Type: application/json' -d '{{"access_token": "any",
    "data": [{{"event_name": "Contact", "event_time": '$(date +%s)', "event_id": "c-1",
    "action_source": "email", "user_data": {{"external_id": "cust-7781"}}}}]}}'

The tokens bad-token and expired-token are refused, every other one is good.

What was accepted (filters: platform, event_id, since, limit; unique and received count everything accepted):

  curl '{base}/_accepted?platform=meta&limit=10'

The last requests, with credentials blotted out (filters: platform, limit):

  curl '{base}/_requests?platform=meta'

Faults: set one, list them, clear one or all of them.

  curl {base}/_faults -d '{{"platform": "meta", "kind": "rate_limit", "retry_after": 5, "count": 3}}'
  curl {base}/_faults
  curl -X DELETE {base}/_faults/1
  curl -X DELETE {base}/_faults

{kinds}

  platform (default *: all), share (0 to 1 of the requests), seconds (how long it lasts), count (how many
  requests it strikes at most), retry_after (rate_limit), delay_seconds (slow, hang), status (error),
  event_ids (refuse)

Forget everything, faults too:

  curl -X POST {base}/_reset
"""


class BadQuery(ValueError):
    """A query parameter that cannot be; the message is one sentence for whoever asked."""


class Controls:
    """The handlers, each for one route of ``routes``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def routes(self) -> list[Route]:
        return [
            Route("/", self.show_help, methods=["GET"]),
            Route("/_faults", self.list_faults, methods=["GET"]),
            Route("/_faults", self.set_fault, methods=["POST"]),
            Route("/_faults", self.clear_faults, methods=["DELETE"]),
            Route("/_faults/{id:int}", self.clear_fault, methods=["DELETE"]),
            Route("/_accepted", self.list_accepted, methods=["GET"]),
            Route("/_requests", self.list_requests, methods=["GET"]),
            Route("/_reset", self.reset, methods=["POST"]),
        ]

    async def show_help(self, request: Request) -> Response:
        kinds = "\n".join(f"  {kind:<18}{meaning}" for kind, meaning in KINDS.items())
        base = str(request.base_url).rstrip("/")
        return PlainTextResponse(HELP.format(base=base, kinds=kinds, platforms=", ".join(self.engine.platforms)))

    async def list_faults(self, request: Request) -> Response:
        now = self.engine.clock()
        return _json({"faults": [fault.public(now) for fault in self.engine.faults.all()]})

    async def set_fault(self, request: Request) -> Response:
        """201 with the fault and its ``id``; 422 with one sentence."""
        now = self.engine.clock()
        try:
            draft = orjson.loads(await read_body(request, FAULT_BYTES) or b"")
            fault = self.engine.faults.set(draft, now)
        except FaultError as error:
            return _refused(str(error))
        except orjson.JSONDecodeError:
            return _refused("A fault is a JSON object of at most 1 MiB.")
        return _json(fault.public(now), 201)

    async def clear_faults(self, request: Request) -> Response:
        return _json({"cleared": self.engine.faults.remove_all()})

    async def clear_fault(self, request: Request) -> Response:
        if self.engine.faults.remove(request.path_params["id"]):
            return _json({"cleared": 1})
        return _json({"error": "There is no such fault."}, 404)

    async def list_accepted(self, request: Request) -> Response:
        """``{"unique", "received", "items": [...]}``, newest last."""
        event_id = request.query_params.get("event_id")
        try:
            platform = self._platform(request)
            since, limit = _number(request, "since"), _limit(request)
        except BadQuery as error:
            return _refused(str(error))
        unique, received = self.engine.memory.counts(platform, event_id)
        page = self.engine.memory.page(platform, event_id, since, limit)
        return _json({"unique": unique, "received": received, "items": [event.public() for event in page]})

    async def list_requests(self, request: Request) -> Response:
        """``{"requests": [...]}``, newest last."""
        try:
            entries = self.engine.journal.page(self._platform(request), _limit(request))
        except BadQuery as error:
            return _refused(str(error))
        return _json({"requests": [entry.public() for entry in entries]})

    async def reset(self, request: Request) -> Response:
        self.engine.reset()
        return _json({"reset": True})

    def _platform(self, request: Request) -> str | None:
        platform = request.query_params.get("platform")
        if platform in (None, "*") or platform in self.engine.platforms:
            return None if platform == "*" else platform
        raise BadQuery(f"platform must be * or one of {', '.join(self.engine.platforms)}.")


def _limit(request: Request) -> int:
    limit = _number(request, "limit")
    return 100 if limit is None else min(limit, MOST_ITEMS)


def _number(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise BadQuery(f"{name} must be a whole number, 0 or more.")
    return int(value)


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_UTC_Z), status, media_type="application/json")


def _refused(sentence: str) -> Response:
    return _json({"error": sentence}, 422)
