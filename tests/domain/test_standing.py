"""How a destination stands, by tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracklayer.domain.delivery import DestinationState
from tracklayer.domain.standing import Flow, GivenUpBy, Standing, Waiting, judge_standing

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUIET = Flow(300, 0, 0, 0)


def stand(**changes: Any) -> Standing:
    given: dict[str, Any] = {
        "state": DestinationState.ACTIVE,
        "waiting": 600,
        "oldest": (),
        "flow": Flow(300, 100, 400, 300),
        "last_delivered_at": NOW,
        "now": NOW,
    }
    return judge_standing(**{**given, **changes})


def test_what_leaves_faster_than_it_comes_is_gone_at_that_pace() -> None:
    found = stand()
    assert found.empty_at == NOW + timedelta(minutes=10)  # 60 more leave a minute than come
    assert found.per_minute == 60


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"waiting": 0}, id="nothing waits"),
        pytest.param({"flow": QUIET}, id="nothing moves"),
        pytest.param({"flow": Flow(300, 400, 400, 400)}, id="as much comes as leaves"),
        pytest.param({"flow": Flow(0, 0, 9, 9)}, id="no time to go by"),
        pytest.param({"state": DestinationState.PAUSED}, id="paused"),
        pytest.param({"state": DestinationState.HELD}, id="held"),
        pytest.param({"waiting": 10**9, "flow": Flow(300, 0, 1, 1)}, id="it would take years"),
    ],
)
def test_no_forecast_is_invented(changes: dict[str, Any]) -> None:
    assert stand(**changes).empty_at is None


def test_the_first_to_be_given_up_makes_the_deadline() -> None:
    old = Waiting(NOW - HOUR, NOW + 23 * HOUR, NOW + 2 * HOUR)
    long = Waiting(NOW - 20 * HOUR, NOW + 4 * HOUR, None)
    found = stand(oldest=[long, old])
    assert (found.waiting_since, found.deadline, found.given_up_by) == (
        NOW - 20 * HOUR,
        NOW + 2 * HOUR,
        GivenUpBy.PLATFORM_AGE,
    )
    found = stand(oldest=[long])
    assert (found.deadline, found.given_up_by) == (NOW + 4 * HOUR, GivenUpBy.WINDOW)
    found = stand(oldest=[])
    assert (found.waiting_since, found.deadline, found.given_up_by) == (None, None, None)
