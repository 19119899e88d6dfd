"""What a look makes of an alert: the whole rule, a line a case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tracklayer.domain.alert import (
    AHEAD,
    REOPEN_WITHIN,
    SEEN_GRAIN,
    AlertKind,
    Finding,
    Heard,
    Known,
    Severity,
    Step,
    Subject,
    is_news,
    next_step,
    told,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
FURTHER = AHEAD + INSTANT


def finding(severity: Severity = Severity.CRITICAL) -> Finding:
    return Finding(AlertKind.QUEUE_BACKLOG, "meta", severity, "Backlog", "It grows.", NOW)


def known(seen: timedelta = timedelta(), quiet: timedelta | None = None, resolved: timedelta | None = None) -> Known:
    """An alert that was last seen, is quiet, was resolved so long before NOW."""
    return Known(
        1,
        Subject(AlertKind.QUEUE_BACKLOG, "meta"),
        Severity.CRITICAL,
        NOW - seen,
        NOW - quiet if quiet is not None else None,
        NOW - resolved if resolved is not None else None,
    )


@pytest.mark.parametrize(
    ("before", "found", "step"),
    [
        pytest.param(None, None, Step.NONE, id="nothing was, nothing is"),
        pytest.param(None, finding(), Step.OPEN, id="new"),
        pytest.param(known(SECOND), finding(), Step.NONE, id="seen a second ago"),
        pytest.param(known(SEEN_GRAIN - INSTANT), finding(), Step.NONE, id="just short of the grain"),
        pytest.param(known(SEEN_GRAIN), finding(), Step.SEEN, id="seen a grain ago"),
        pytest.param(known(SECOND), finding(Severity.WARNING), Step.SEEN, id="another severity"),
        pytest.param(
            known(-SECOND), finding(Severity.WARNING), Step.NONE, id="another severity, seen by an older look"
        ),
        pytest.param(known(SECOND), None, Step.QUIET, id="quiet for the first time"),
        pytest.param(known(timedelta()), None, Step.NONE, id="a look of the same instant"),
        pytest.param(known(-SECOND), None, Step.NONE, id="an older look that saw nothing"),
        pytest.param(known(61 * SECOND, 60 * SECOND - INSTANT), None, Step.NONE, id="quiet for less than a minute"),
        pytest.param(known(61 * SECOND, 60 * SECOND), None, Step.RESOLVE, id="quiet for a minute"),
        pytest.param(known(61 * SECOND, SECOND), finding(), Step.SEEN, id="back before it resolved"),
        pytest.param(known(61 * SECOND, -SECOND), finding(), Step.NONE, id="a finding older than the quiet"),
        pytest.param(known(resolved=SECOND), None, Step.NONE, id="resolved, and still fine"),
        pytest.param(known(resolved=REOPEN_WITHIN - INSTANT), finding(), Step.REOPEN, id="back within ten minutes"),
        pytest.param(known(resolved=REOPEN_WITHIN), finding(), Step.OPEN, id="back after ten minutes"),
        pytest.param(known(resolved=-SECOND), finding(), Step.NONE, id="a finding older than the resolving"),
        pytest.param(known(resolved=-AHEAD), finding(), Step.NONE, id="a finding as old as looks may be"),
        pytest.param(known(resolved=-FURTHER), finding(), Step.OPEN, id="resolved by a clock set back since"),
        pytest.param(known(resolved=-FURTHER), None, Step.NONE, id="the same, and still fine"),
        pytest.param(known(-AHEAD), finding(), Step.NONE, id="seen as far ahead as looks may be"),
        pytest.param(known(-FURTHER), finding(), Step.SEEN, id="seen by a clock set back since"),
        pytest.param(known(-FURTHER), None, Step.QUIET, id="the same, and quiet for the first time"),
        pytest.param(known(SECOND, -AHEAD), None, Step.NONE, id="quiet as far ahead as looks may be"),
        pytest.param(known(SECOND, -FURTHER), None, Step.QUIET, id="quiet by a clock set back since"),
        pytest.param(known(SEEN_GRAIN, -FURTHER), finding(), Step.SEEN, id="the same, and back"),
    ],
)
def test_what_becomes_of_an_alert(before: Known | None, found: Finding | None, step: Step) -> None:
    assert next_step(before, found, NOW) is step


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("No Purchase event for 15 min", "No Purchase event for 15 min"),
        ("Order by jane.doe@example.com", "Order by …"),
        ("example (jane@example.com), and `a@b.example/20`", "example (…), and `…`"),
        ("call +49 151 2345678 now", "call … now"),
        ("1 + 1 of 4915123456789", "1 + 1 of 4915123456789"),
        ("order +49 (0)151 12345678 of June", "order …"),
        ("+1 (415) 555-2671", "…"),
        ("Größe 5+, jane.doe%40example.com", "Größe …"),
        ("Order by jane＠example.com", "Order by …"),
        ("X\n\nSECURITY NOTICE\u202e sign in", "X SECURITY NOTICE sign in"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_what_shops_call_things_is_one_line_without_people(given: str, said: str) -> None:
    assert told(given, 200) == said


@pytest.mark.parametrize(
    ("messages", "heard", "news"),
    [
        # What was told, in order; what somebody knows then; whether to learn of a warning, and that it is critical, is news.
        pytest.param([], None, (True, True), id="nothing"),
        pytest.param(["warning"], Heard("open", False), (False, True), id="it is open"),
        pytest.param(["critical"], Heard("open", True), (False, False), id="it is critical"),
        pytest.param(["warning", "critical"], Heard("open", True), (False, False), id="it became critical"),
        pytest.param(["critical", "warning"], Heard("open", True), (False, False), id="it was critical once"),
        pytest.param(["warning", "warning"], Heard("open", False), (False, True), id="twice that it is open"),
        pytest.param(["critical", None], Heard("resolved", False), (True, True), id="it is over"),
        pytest.param(["critical", None, "warning"], Heard("open", False), (False, True), id="it came back, less bad"),
        pytest.param(["warning", None, "critical"], Heard("open", True), (False, False), id="it came back, worse"),
    ],
)
def test_what_somebody_knows_of_an_alert_after_each_message(
    messages: list[str | None], heard: Heard | None, news: tuple[bool, bool]
) -> None:
    """None: that it is over."""
    known: Heard | None = None
    for severity in messages:
        known = Heard.after(known, "open" if severity else "resolved", severity)
    assert known == heard
    assert (is_news(known, Severity.WARNING), is_news(known, Severity.CRITICAL)) == news
