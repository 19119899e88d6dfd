"""What tests of deliveries share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tracklayer.services import deliver as engine


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """``between(meanwhile)``: done once, when a platform's answer was read and before it is written."""

    def set_up(meanwhile: Callable[[], object]) -> None:
        real = engine.send  # type: ignore[attr-defined]

        def send(*args: Any) -> Any:
            reply = real(*args)
            monkeypatch.setattr(engine, "send", real)
            meanwhile()
            return reply

        monkeypatch.setattr(engine, "send", send)

    return set_up
