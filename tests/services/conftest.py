"""What tests of deliveries share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.platform_server import Platform
from tracklayer.runtime import Runtime
from tracklayer.services import platform_requests


@pytest.fixture
def platform(runtime: Runtime) -> Iterator[Platform]:
    """What this runtime delivers to."""
    started = Platform()
    runtime.settings = replace(runtime.settings, sandbox_url=started.url)
    yield started
    started.close()


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """``between(meanwhile)``: done once, when a platform's answer was read and before it is written."""

    def set_up(meanwhile: Callable[[], object]) -> None:
        real = platform_requests.send  # type: ignore[attr-defined]

        def send(*args: Any) -> Any:
            reply = real(*args)
            monkeypatch.setattr(platform_requests, "send", real)
            meanwhile()
            return reply

        monkeypatch.setattr(platform_requests, "send", send)

    return set_up
