"""What tests of deliveries share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from starlette.datastructures import Secret

from tests.factories import Merchant
from tests.platform_server import Platform
from tests.smtp import MailServer
from tracklayer.runtime import Runtime
from tracklayer.services import platform_requests
from tracklayer.services.merchants import update_merchant


@pytest.fixture
def platform(runtime: Runtime) -> Iterator[Platform]:
    """What this runtime delivers to."""
    started = Platform()
    runtime.settings = replace(runtime.settings, sandbox_url=started.url)
    yield started
    started.close()


@pytest.fixture
def posting(runtime: Runtime) -> Runtime:
    """A runtime that may post to receivers on this machine."""
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True)
    return runtime


@pytest.fixture
def mails(runtime: Runtime, merchant: Merchant) -> Iterator[MailServer]:
    """What takes the alerts of ``merchant``, who has one address."""
    with MailServer() as server:
        runtime.settings = replace(runtime.settings, smtp_url=Secret(server.url))
        update_merchant(runtime, merchant.merchant_id, {"alert_emails": ["a@shop.example"]})
        yield server


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
