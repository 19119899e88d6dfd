"""The line a minute: what was done, and none where nothing was."""

from __future__ import annotations

import logging

import pytest

from tests.servers import wait_until
from tracklayer.cli.life import Minutes, place
from tracklayer.runtime import Runtime
from tracklayer.tracing import Tracer


def test_once_a_minute_it_says_what_was_done_and_nothing_where_nothing_was(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tracklayer.cli.life")
    runtime.tracer = Tracer(lambda spans: None)
    with Minutes(runtime, seconds=0.01):
        runtime.tally.add("events", ["accepted", "accepted", "rejected"])
        wait_until(lambda: len(caplog.records) == 1, "the line")
        assert runtime.tally.take() is None
        runtime.tally.claimed(-0.5)
        wait_until(lambda: len(caplog.records) == 2, "another")
    first, second = caplog.records
    assert first.getMessage().endswith("s: events 2 accepted, 1 rejected")
    assert (first.__dict__["events"], first.__dict__["claims"]) == ({"accepted": 2, "rejected": 1}, 0)
    assert second.getMessage().endswith("s: 1 claim, longest wait 0.0 s")
    runtime.tracer.left_out = 7
    runtime.tally.add_many("deliveries", "delivered", 3)
    Minutes(runtime).tell()
    assert [record.getMessage() for record in caplog.records[2:]] == [
        "in the last 0 s: deliveries 3 delivered",
        "7 events were not traced: too many were; set OTEL_TRACES_SAMPLER",
    ]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:hunter2@redis.example.com:6379/0", "redis://redis.example.com:6379/0"),
        ("rediss://user:hunter2@h:1/2?password=hunter2", "rediss://h:1/2"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("https://track.example.com", "https://track.example.com"),
    ],
)
def test_a_place_holds_no_password(url: str, told: str) -> None:
    assert place(url) == told
