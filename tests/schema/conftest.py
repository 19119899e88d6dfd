"""What some tests of operations share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def dropped_coroutines() -> Iterator[None]:
    """They are noticed here, and not in whichever test the collector happens to run."""
    gc.freeze()  # what is there already need not be looked through again
    yield
    gc.collect()
    gc.unfreeze()
