"""When a platform may count one event twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tracklayer.domain.delivery import may_be_doubled

START = datetime(2026, 11, 20, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("attempts", "last", "memory", "expected"),
    [
        pytest.param([], None, None, False, id="nothing was sent"),
        pytest.param([], 1, None, False, id="nothing was sent yet"),
        pytest.param([(0, "acknowledged")], 0, None, False, id="answered at once"),
        pytest.param([(0, "unknown")], 0, None, False, id="not answered, and given up"),
        pytest.param([(0, "unknown")], 1, None, True, id="not answered, another is to come"),
        pytest.param([(0, "unknown"), (1, "acknowledged")], 1, None, True, id="not answered, then answered"),
        pytest.param([(0, "rejected"), (1, "unknown")], 1, None, False, id="the last one was not answered"),
        pytest.param([(0, "unreachable"), (1, "acknowledged")], 1, None, False, id="nobody was reached"),
        pytest.param([(0, "unknown"), (1, "acknowledged")], 1, 1, False, id="the copy is recognised"),
        pytest.param([(0, "unknown"), (3, "acknowledged")], 3, 2, True, id="the copy comes too late"),
        pytest.param([(0, "unknown")], 3, 2, True, id="a later one that is not in the log"),
        pytest.param([(0, "acknowledged"), (1, "acknowledged")], 1, None, True, id="two were answered"),
        pytest.param([(0, "acknowledged"), (1, "unknown")], 1, None, True, id="answered late, and one was on its way"),
        pytest.param([(0, "acknowledged"), (1, "rejected")], 1, None, False, id="the one on its way was refused"),
        pytest.param([(0, "acknowledged")], 1, None, False, id="answered late, and what followed was refused"),
        pytest.param([(0, "acknowledged"), (1, "acknowledged")], 1, 1, False, id="the second is recognised"),
        pytest.param([(0, "acknowledged"), (3, "acknowledged")], 3, 2, True, id="the second comes too late"),
        pytest.param([(0, "unknown"), (900, "acknowledged")], 900, "ever", False, id="recognised however late"),
    ],
)
def test_a_copy_that_is_not_recognised_may_count_twice(
    attempts: list[tuple[int, str]], last: int | None, memory: int | str | None, expected: bool
) -> None:
    logged = [(START + at * HOUR, outcome) for at, outcome in attempts]
    latest = START + last * HOUR if last is not None else None
    span = memory * HOUR if isinstance(memory, int) else timedelta.max if memory else None
    assert may_be_doubled(logged, latest, span) is expected
