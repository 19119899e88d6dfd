"""The environment that commands are typed in."""

from __future__ import annotations

import pytest

from tests.factories import API_KEY_SECRET


@pytest.fixture
def environ(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The process's environment as an operator would set it."""
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    return database
