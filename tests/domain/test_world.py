"""A small town; ``python -m tests.domain.world`` runs the full one."""

from __future__ import annotations

import pytest

from tests.domain.world import run


@pytest.mark.parametrize("seed", [1, 2])
def test_in_a_town_of_shared_browsers_and_counters_events_get_what_is_theirs(seed: int) -> None:
    found = run(people=300, days=30, seed=seed)
    assert found.fields > 30_000
    assert found.wrong * 1000 <= found.fields
    assert found.found_clicks >= 0.98 * found.expected_clicks
    assert found.expected_clicks > 5_000
    assert found.emails > 50
    assert (found.through_many, found.chains, found.with_consent_denied, found.overwritten) == (0, 0, 0, 0)
