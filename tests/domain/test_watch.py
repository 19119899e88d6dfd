"""What the operator reads, kind by kind: what is at stake and what to do come first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracklayer.domain.alert import Severity
from tracklayer.domain.installation import ROLES, Beat, Down, Facts, JobFacts, Untold, Waiting, has_run
from tracklayer.domain.trouble import Trouble
from tracklayer.domain.watch import all_is_well, database_trouble, judge, undecided

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
INTERVALS = {
    "sweep": timedelta(seconds=1),
    "monitor": timedelta(seconds=15),
    "fold": timedelta(minutes=1),
    "purge": timedelta(minutes=1),
}
JOBS = {name: JobFacts(timedelta(seconds=1), False) for name in INTERVALS}


def beat(role: str, age: float = 5, up: float = 3600, host: str = "", ended: float | None = None, **says: Any) -> Beat:
    return Beat(
        role,
        host or f"{role}-1",
        "1.0",
        timedelta(seconds=age),
        timedelta(seconds=up),
        None if ended is None else timedelta(seconds=ended),
        says,
    )


def crew(**says: Any) -> list[Beat]:
    """One process of each role; the worker says so much."""
    return [beat("api"), beat("worker", **says), beat("scheduler")]


def facts(beats: list[Beat], **more: Any) -> Facts:
    return Facts(NOW, beats, **{"jobs": JOBS, "intervals": INTERVALS, "waiting": Waiting(), "untold": Untold(), **more})


TEXTS = [
    pytest.param(
        facts(crew(), untold=Untold(3, NOW - timedelta(minutes=12), "ConnectionRefusedError")),
        "mails_fail",
        "The mail server takes no mail",
        "Merchants are not told of their alerts by e-mail: 3 mails wait since 2026-11-20 14:48 UTC, and none went out in the last "
        "10 min. Check TRACKLAYER_SMTP_URL, and the mail server's log. That an alert is open is tried again for as long as it is, its "
        "end for 24 hours. The last error: ConnectionRefusedError.",
        id="a mail server that is away",
    ),
    pytest.param(
        facts(crew(), untold=Untold(0, NOW - timedelta(minutes=12), "Refused554", lost=23)),
        "mails_fail",
        "The mail server takes no mail",
        "Merchants are not told of their alerts by e-mail: 23 mails were given up or may not have arrived since 2026-11-20 14:48 UTC, "
        "and none went out in the last 10 min. Check TRACKLAYER_SMTP_URL, and the mail server's log. What was given up, or may have "
        "arrived, is not sent again. The last error: Refused554.",
        id="a mail server that refuses every address",
    ),
    pytest.param(
        facts(crew(), untold=Untold(messages=4, channels=2, merchants=1, channels_since=NOW - timedelta(minutes=12))),
        "webhooks_fail",
        "2 alert channels of 1 merchant take no messages",
        "Merchants are not told of their alerts by webhook or Slack: 4 messages wait, the oldest since 2026-11-20 14:48 UTC. Where "
        "it is all of them, look at this installation's network; else the merchant corrects the address: `lastError` of the "
        "channel says why. That an alert is open is tried again for as long as it is, all else for 24 hours.",
        id="webhooks that take nothing",
    ),
    pytest.param(
        facts(crew(), untold=Untold(overdue=14, overdue_since=NOW - timedelta(minutes=12), mails_go=True)),
        "mails_fail",
        "Mails about merchants' alerts are late",
        "14 mails are due and not sent, the oldest since 2026-11-20 14:48 UTC: the mail server takes too long for each. Name a "
        "faster one in TRACKLAYER_SMTP_URL, or start more workers. All are sent that are still needed then.",
        id="a mail server that is too slow",
    ),
    pytest.param(
        facts(crew(), untold=Untold(overdue=14, overdue_since=NOW - timedelta(minutes=12))),
        "mails_fail",
        "Mails about merchants' alerts are late",
        "14 mails are due and not sent, the oldest since 2026-11-20 14:48 UTC: in the last 10 min no worker tried any. Set "
        "TRACKLAYER_SMTP_URL for each process that sends: without it, none does. All are sent that are still needed then.",
        id="mails that wait without a mail server",
    ),
    pytest.param(
        facts([beat("api"), beat("worker", age=41), beat("scheduler")], queued=15000),
        "no_worker",
        "No worker is running",
        "Events are taken in and kept, but none is delivered, and what waits for longer than the retry window is dropped; "
        "merchants' alerts are not judged either. Start `tracklayer worker`. 15,000 deliveries wait. The last one, on "
        "worker-1, has not been heard of for 41 s: its log says why.",
        id="a worker that died",
    ),
    pytest.param(
        facts([beat("api"), beat("worker"), beat("scheduler", age=60, ended=60)]),
        "no_scheduler",
        "No scheduler is running",
        "Workers start by themselves what is due, every few seconds, so deliveries go on late. Start `tracklayer scheduler`. "
        "The last one, on scheduler-1, was stopped 60 s ago, and none took its place.",
        id="a scheduler that was stopped",
    ),
    pytest.param(
        facts([beat("worker"), beat("scheduler"), beat("api", age=100)]),
        "no_api",
        "No API process is running",
        "No event is taken in: callers are refused, and what they do not send again is lost. Start `tracklayer api`. The last "
        "one, on api-1, has not been heard of for 2 min: its log says why.",
        id="an API that died",
    ),
    pytest.param(
        facts(crew(broker="full", broker_seconds=15)),
        "broker_takes_nothing",
        "Redis takes no messages: it is full",
        "Nothing is lost: workers look into the database every second instead, so deliveries go on, slower. Give it more memory "
        "(maxmemory), or delete what others keep in it. The worker on worker-1 finds it so, for 20 s.",
        id="Redis full",
    ),
    pytest.param(
        facts(crew(broker="refuses (NoPermissionError)", broker_seconds=15)),
        "broker_takes_nothing",
        "Redis takes no messages: it refuses (NoPermissionError)",
        "Nothing is lost: workers look into the database every second instead, so deliveries go on, slower. Allow SET, DEL, EVAL, "
        "EVALSHA and SCRIPT on tracklayer:* in its ACL. The worker on worker-1 finds it so, for 20 s.",
        id="Redis unwilling",
    ),
    pytest.param(
        facts(crew(refused="53100", refused_seconds=3)),
        "database_full",
        "PostgreSQL's disk is full",
        "It refused a write 8 s ago, and this is said until none was refused for a minute. While it refuses them events get "
        "503, what callers do not send again is lost, and nothing is delivered. Make room on its disk. The worker on "
        "worker-1 found it so.",
        id="a full disk",
    ),
    pytest.param(
        facts([beat(role, host="vm", refused="53100", refused_seconds=3) for role in ROLES]),
        "database_full",
        "PostgreSQL's disk is full",
        "It refused a write 8 s ago, and this is said until none was refused for a minute. While it refuses them events get "
        "503, what callers do not send again is lost, and nothing is delivered. Make room on its disk. The process on vm "
        "found it so.",
        id="a full disk that one process with all roles met",
    ),
    pytest.param(
        facts(
            [
                *(replace(beat(role, host="vm", refused="53100", refused_seconds=3), instance="1") for role in ROLES),
                replace(beat("api", host="vm", refused="53100", refused_seconds=3), instance="2"),
                beat("worker"),
            ]
        ),
        "database_full",
        "PostgreSQL's disk is full",
        "It refused a write 8 s ago, and this is said until none was refused for a minute. While it refuses them events get "
        "503, what callers do not send again is lost, and nothing is delivered. Make room on its disk. Each of 2 of 3 "
        "processes found it so.",
        id="a full disk that two processes of a host met",
    ),
    pytest.param(
        facts([*crew(), beat("worker", host="b", ended=3, up=3, lacks="key")]),
        "wrong_key",
        "A process has the wrong secret key",
        "The worker on b refuses to start: its TRACKLAYER_SECRET_KEY does not open what is sealed in this database. What it was to "
        "do is done by others or by nobody. Give it the key that the others have.",
        id="a wrong key",
    ),
    pytest.param(
        facts([*crew(), *(beat(role, host="b", ended=3, up=3, lacks="key") for role in ("api", "worker"))]),
        "wrong_key",
        "A process has the wrong secret key",
        "The API process on b and worker on b refuse to start: their TRACKLAYER_SECRET_KEY does not open what is sealed in this "
        "database. What they were to do is done by others or by nobody. Give them the key that the others have.",
        id="a wrong key of two",
    ),
    pytest.param(
        facts([*crew(), beat("api", host="b", ended=3, up=3, lacks="migrations")]),
        "migrations_lacking",
        "The database and a process are of different versions",
        "The API process on b refuses to start: run `tracklayer migrate` with the newest version, and start the same version "
        "everywhere. What it was to do is done by others or by nobody.",
        id="migrations",
    ),
    pytest.param(
        facts(crew(closed=2)),
        "wrong_key",
        "2 destinations cannot be opened with the secret keys there are",
        "Nothing is delivered to them, and what waits for longer than the retry window is dropped. The worker on worker-1 lacks a "
        "key that sealed their secrets: put it back into TRACKLAYER_SECRET_KEY, behind the newest, and restart; or set the "
        "destinations' secrets anew.",
        id="a key that is gone",
    ),
    pytest.param(
        facts(crew(), waiting=Waiting(2, {"Meta": 2, "TikTok": 1}, {}, timedelta(minutes=7))),
        "old_queue",
        "Deliveries wait at 3 destinations of 2 merchants",
        "The oldest has been due for 7 min; usually none waits for longer than a second. Nobody serves 3 of them though workers "
        "live: look into the workers' log, and restart them if it says nothing. By platform: Meta 2 and TikTok 1.",
        id="a queue that nobody serves",
    ),
    pytest.param(
        facts(crew(), waiting=Waiting(40, {}, {"Meta": 30, "TikTok": 10}, timedelta(minutes=7), more=True)),
        "old_queue",
        "Deliveries wait at 40 destinations or more of 40 merchants",
        "The oldest has been due for 7 min; usually none waits for longer than a second. They come faster than they go: start more "
        "workers. By platform: Meta 30 and TikTok 10.",
        id="too few workers",
    ),
    pytest.param(
        facts(crew(), jobs={**JOBS, "monitor": JobFacts(timedelta(seconds=76), False)}),
        "jobs_late",
        "Monitor does not run any more",
        "Merchants' alerts are not judged. Not run: monitor for 76 s, though workers live. Look into the workers' log, and restart "
        "them if it says nothing.",
        id="monitors",
    ),
    pytest.param(
        facts(crew(), down=[Down("meta", "Meta", "unanswered: no answer in time", NOW - timedelta(minutes=3), 3000)]),
        "platform_down:meta",
        "Meta serves no merchant",
        "Since 2026-11-20 14:57 UTC no request of any merchant was answered (unanswered: no answer in time). 3,000 destinations "
        "with something to send are held, a few probes go out every half minute to five minutes, and all is sent once one is "
        "answered; what waits for longer than the retry window is dropped. You need do nothing; where other platforms follow, "
        "look at this installation's network.",
        id="a platform that is down",
    ),
    pytest.param(
        facts(crew(sandbox=1)),
        "sandbox_left_set",
        "TRACKLAYER_SANDBOX_URL is set beside 1 real destination",
        "What is meant for it goes to the emulator, and none of it to a platform. Unset it in production, and restart. The worker on "
        "worker-1 has it set.",
        id="sandbox",
    ),
    pytest.param(
        facts(crew(invented=10)),
        "sandbox_missing",
        "10 destinations have the invented settings of a trial, and there is no sandbox",
        "Nothing is sent to them, and what waits for longer than the retry window is dropped. Start with `tracklayer up --sandbox`, "
        "set TRACKLAYER_SANDBOX_URL, or give them real settings. The worker on worker-1 has no sandbox set.",
        id="no sandbox",
    ),
    pytest.param(
        facts(crew(no_files=4.0)),
        "no_files",
        "The worker on worker-1 could open no more files",
        "Each connection is one: what it could not connect for is tried again every few seconds, costs no attempt and is no fault of "
        "a platform's, of PostgreSQL's or of Redis'. Raise how many files the process may open (`ulimit -n`, `LimitNOFILE=` of a "
        "systemd unit, `fs.file-max` of the machine), and restart it; where that happens again and again, run more processes.",
        id="files",
    ),
    pytest.param(
        facts(crew(ahead=-12.4)),
        "clock_off",
        "The clock of worker-1 is wrong",
        "Due times go by PostgreSQL's clock and stay right, but TLS and the signatures of some platforms fail by a wrong one. "
        "Measured against PostgreSQL's, worker-1 is 12 s behind. Set up NTP on all machines, PostgreSQL's too.",
        id="a clock",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "kind", "title", "message"), TEXTS)
def test_each_trouble_says_what_is_at_stake_and_what_to_do(seen: Facts, kind: str, title: str, message: str) -> None:
    (found,) = judge(seen)
    assert (found.kind, found.title, found.message) == (kind, title, message)


def test_all_well_is_nothing_to_tell() -> None:
    assert judge(facts(crew())) == []
    assert all_is_well(facts(crew()), [])


@pytest.mark.parametrize(
    ("beats", "kinds"),
    [
        pytest.param([beat("api"), beat("worker", age=40), beat("scheduler")], [], id="late"),
        pytest.param([beat("api", up=40)], [], id="an API that has just started"),
        pytest.param([beat("api", up=500)], [], id="an API beside roles of a version that does not say that it lives"),
        pytest.param([beat("api", up=20), beat("worker", age=4000)], [], id="others may start, too"),
        pytest.param([beat("worker"), beat("scheduler")], [], id="an API that never was"),
        pytest.param(
            [beat(role, age=50) for role in ROLES], ["no_api", "no_worker", "no_scheduler"], id="all are dead"
        ),
        pytest.param([*crew(), beat("worker", age=4000)], [], id="one that died beside one that lives"),
        pytest.param(crew(broker="full", broker_seconds=9), [], id="Redis full for a moment"),
        pytest.param(crew(refused="53100", refused_seconds=61), [], id="a disk that was full"),
        pytest.param([*crew(), beat("worker", age=91, ended=91, lacks="key")], [], id="one that refused long ago"),
        pytest.param(crew(ahead=2.0), [], id="a clock that is near enough"),
    ],
)
def test_what_is_missing_and_what_only_takes_a_moment(beats: list[Beat], kinds: list[str]) -> None:
    assert [trouble.kind for trouble in judge(facts(beats))] == kinds


def test_an_api_that_nobody_joined_misses_them_once_what_they_do_is_late() -> None:
    def missing(up: float) -> list[str]:
        return [trouble.kind for trouble in judge(facts([beat("api", up=up)], jobs={}))]

    assert missing(60) == []
    assert missing(61) == ["no_worker", "no_scheduler"]


def test_workers_that_are_killed_again_and_again_are_told_though_one_always_seems_to_live() -> None:
    killed = [beat("worker", age=45 + 15 * n, up=46 + 15 * n, host=f"w{n % 2}") for n in range(5)]
    seen = facts([*crew(), *killed])
    (found,) = judge(seen)
    assert (found.kind, found.severity, found.title) == (
        "worker_keeps_dying",
        Severity.CRITICAL,
        "The worker keeps dying",
    )
    assert "5 that were started within the last 5 min, on w0 and w1, ended without a word" in found.message
    assert found.since == NOW - timedelta(seconds=106)
    assert judge(facts([*crew(), *killed[1:]])) == []


@pytest.mark.parametrize(
    "those",
    [
        pytest.param([beat("worker", age=60, up=3600) for _ in range(9)], id="a host that was switched off"),
        pytest.param([beat("worker", age=60, up=90, ended=60) for _ in range(9)], id="stopped on purpose"),
        pytest.param([beat("worker", age=300, up=301) for _ in range(9)], id="long ago"),
        pytest.param([beat("worker", age=9, up=30) for _ in range(9)], id="alive"),
    ],
)
def test_others_that_ended_do_not_keep_dying(those: list[Beat]) -> None:
    assert judge(facts([*crew(), *those])) == []


@pytest.mark.parametrize(("begun", "kinds"), [(61, ["jobs_late"]), (60, []), (None, ["jobs_late"])])
def test_a_worker_that_begins_anew_all_the_time_does_not_hide_that_a_job_does_not_run(
    begun: float | None, kinds: list[str]
) -> None:
    lives = [beat("worker", age=age, up=age + 1) for age in (2, 42, 82)]
    jobs = {**JOBS, "sweep": JobFacts(timedelta(seconds=begun) if begun is not None else None, False)}
    assert [trouble.kind for trouble in judge(facts([beat("api"), beat("scheduler"), *lives], jobs=jobs))] == kinds


def test_a_job_is_not_late_for_a_worker_that_starts_after_hours_in_which_none_ran() -> None:
    jobs = {name: JobFacts(timedelta(hours=3), False) for name in INTERVALS}
    beats = [beat("api"), beat("scheduler"), beat("worker", up=30), beat("worker", age=9000, up=90000, ended=9000)]
    assert judge(facts(beats, jobs=jobs)) == []


def test_a_job_that_runs_or_whose_worker_has_just_started_is_not_late() -> None:
    old = {name: JobFacts(timedelta(hours=1), True) for name in INTERVALS}
    assert judge(facts(crew(), jobs=old)) == []
    fresh = [beat("api"), beat("worker", up=30), beat("scheduler")]
    assert judge(facts(fresh, jobs={})) == []


def test_of_what_nobody_can_judge_now_nothing_is_over() -> None:
    assert undecided(facts(crew())) == set()
    assert undecided(facts(crew(), waiting=None)) == {"old_queue"}
    of_workers = {"old_queue", "jobs_late", "mails_fail", "webhooks_fail"}
    assert undecided(facts([beat("api")])) == {"no_worker", "no_scheduler", *of_workers}
    assert undecided(facts(crew(broker="full", broker_seconds=1))) == {"broker_takes_nothing"}


@pytest.mark.parametrize("role", ROLES)
def test_the_switch_wants_every_role_that_was_ever_seen(role: str) -> None:
    others = [found for found in crew() if found.role != role]
    assert not all_is_well(facts([*others, beat(role, age=31)]), [])
    assert not all_is_well(facts([*others, beat(role, age=90000, ended=90000)]), [])


@pytest.mark.parametrize("role", ROLES)
def test_for_a_role_that_says_nothing_its_work_speaks(role: str) -> None:
    others = [found for found in crew() if found.role != role]
    assert all_is_well(facts(others), [])
    assert not all_is_well(facts(others, jobs={}), [])
    assert not all_is_well(facts(others, jobs={**JOBS, "sweep": JobFacts(timedelta(seconds=61), False)}), [])
    assert not all_is_well(facts([]), [])


def test_the_switch_minds_what_is_critical_alone() -> None:
    def open_one(severity: Severity) -> list[Trouble]:
        return [Trouble("clock_off", severity, "", "", NOW)]

    assert all_is_well(facts(crew()), open_one(Severity.WARNING))
    assert not all_is_well(facts(crew()), open_one(Severity.CRITICAL))


def test_nothing_is_meant_to_run_where_nothing_ran_or_all_was_stopped() -> None:
    assert not has_run(facts([]))
    assert not has_run(facts([beat("api", ended=5)]))
    assert has_run(facts([beat("api", ended=5), beat("worker", age=5000)]))


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("53100", "database_full"),
        ("25006", "database_read_only"),
        ("57P01", "database_away"),
        (None, "database_away"),
    ],
)
def test_a_database_is_named_by_how_it_refuses(state: str | None, kind: str) -> None:
    found = database_trouble(state, NOW, "The API process on a")
    assert (found.kind, found.severity) == (kind, Severity.CRITICAL)
    assert found.message.startswith("Events are refused with 503")


def test_where_no_worker_lives_mails_and_messages_wait_for_one() -> None:
    late = Untold(overdue=4, overdue_since=NOW, messages=4, channels=2, merchants=1, channels_since=NOW)
    beats = [beat("api"), beat("worker", age=900), beat("scheduler")]
    without = facts(beats, untold=late)
    assert [one.kind for one in judge(without)] == ["no_worker"]
    assert {"mails_fail", "webhooks_fail"} <= undecided(without)


def test_it_is_graver_that_nobody_gets_any_message_than_that_one_merchant_does_not() -> None:
    def severity(none_taken: bool) -> Severity:
        untold = Untold(messages=300, channels=300, merchants=300, channels_since=NOW, none_taken=none_taken)
        (found,) = judge(facts(crew(), untold=untold))
        return found.severity

    assert (severity(False), severity(True)) == (Severity.WARNING, Severity.CRITICAL)
