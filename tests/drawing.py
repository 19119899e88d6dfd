"""What tests that draw at random draw: the same in every run, and, for whoever searches, others and more of them.

``pytest --seeds N`` draws N further seeds for each test that takes one, and for each property N times ten times as many
examples as a run has otherwise. What such a search finds is kept: as a seed of the test, or as an ``@example``.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

_PROFILE = "tracklayer"
_more = 0


def begin(more: int) -> None:
    """Before any test is loaded. ``more``: of ``--seeds``."""
    global _more
    _more = more
    # How long an example takes, or to think of one, is the machine's affair. No file of examples: a run leaves none behind.
    settings.register_profile(
        _PROFILE, derandomize=not more, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile(_PROFILE)


def drawn(examples: int, **others: Any) -> settings:
    """So many examples of a property, or for each of ``--seeds`` ten times as many."""
    return settings(max_examples=examples * 10 * _more or examples, **others)
