"""What a role serves on a port of its own, whatever else it does: without the API, which a worker need not load."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette

from tracklayer.settings import Settings
from tracklayer.web.health import Waiting, role_routes
from tracklayer.web.metrics import metrics_route


def build_metrics_app(waiting: Waiting, settings: Settings, shared: Path | None = None) -> Starlette:
    """What a role serves on ``TRACKLAYER_METRICS_PORT``: metrics and health, and nothing else.

    ``shared``: as for ``metrics.exposition``.
    """
    own = metrics_route(settings.metrics_token, settings.public_url, is_own_port=True, shared=shared)
    app = Starlette(routes=[*role_routes(waiting), own])
    app.state.ending = False
    return app
