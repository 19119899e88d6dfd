"""What is wrong with the installation itself, judged by what is known of it (``installation``): the operator's troubles, and
what is said of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tracklayer.domain.alert import Severity
from tracklayer.domain.installation import JOBS, MISSED, ROLES, UNTOLD, Beat, Facts, JobFacts
from tracklayer.domain.monitors.words import clock_time, counted, lasting
from tracklayer.domain.trouble import (
    BROKER_KIND,
    CLOCK_OFF,
    DATABASE_AWAY,
    DATABASE_FULL,
    DATABASE_READ_ONLY,
    JOBS_LATE,
    KEEPS_DYING,
    MAILS_FAIL,
    MIGRATIONS,
    NO_FILES,
    NO_ROLE,
    NO_SANDBOX,
    OLD_QUEUE,
    PLATFORM_DOWN,
    ROLE_NAMES,
    SANDBOX,
    WEBHOOKS_FAIL,
    WRONG_KEY,
    Trouble,
    process_on,
)

OWN_WANT = "EMFILE"  # in the place of an SQLSTATE: nobody was asked
WELL = timedelta(seconds=30)  # a role that beat within it is there for certain
BROKER = timedelta(seconds=15)  # a restart of Redis is over by then
REFUSALS = timedelta(seconds=90)  # a supervisor starts what ended again within them
MET = timedelta(seconds=60)  # what a process met so long ago, it has met lately
JOB_INTERVALS = 5
JOB_LATE = timedelta(seconds=60)  # at least: a job that runs every second may wait behind a long one
DYING, DYING_WITHIN = 5, timedelta(minutes=5)  # processes that ended by no will of anybody, of those started so lately
CLOCK = timedelta(seconds=2)  # as the log and `doctor` warn of


def all_is_well(facts: Facts, open_troubles: Iterable[Trouble]) -> bool:
    """Whether every role is there for certain and nothing critical is wrong: what a dead-man's switch is pinged for.

    A role that never said that it lives may be of a version that says nothing: then its work speaks for it.
    """
    there = {beat.role for beat in facts.beats if beat.lives and beat.age <= WELL}
    silent = (
        {role for role in ROLES if _last(facts, role) is None} if there and not _late(facts, timedelta.max) else set()
    )
    return there | silent >= set(ROLES) and not any(trouble.is_critical for trouble in open_troubles)


def judge(facts: Facts) -> list[Trouble]:
    """Everything that is wrong, the worst first. What only follows from another trouble is not told besides."""
    found = [*_roles(facts), *_dying(facts), *_broker(facts), *_database(facts), *_refusing(facts), *_keys(facts)]
    if facts.living("worker"):
        found += [*_queue(facts), *_jobs(facts), *_untold(facts)]
    return [*found, *_files(facts), *_platforms(facts), *_sandbox(facts), *_no_sandbox(facts), *_clocks(facts)]


def undecided(facts: Facts) -> set[str]:
    """Kinds of which nobody can say now that they are over: alerts of these stay as they are, judged or not."""
    kinds = {NO_ROLE[role] for role in ROLES if not facts.living(role)}
    if not facts.living("worker"):
        kinds |= {OLD_QUEUE, JOBS_LATE, MAILS_FAIL, WEBHOOKS_FAIL}
    if facts.waiting is None:
        kinds.add(OLD_QUEUE)
    if facts.untold is None:
        kinds |= {MAILS_FAIL, WEBHOOKS_FAIL}
    if any(beat.says.get("broker") for beat in facts.beats if beat.lives):
        kinds.add(BROKER_KIND)
    return kinds


def _roles(facts: Facts) -> list[Trouble]:
    living = [beat.up for beat in facts.beats if beat.lives]
    # Who has just started cannot tell a role that is missing from one that starts, too.
    watched = max(living) if living else min((beat.age for beat in facts.beats), default=timedelta())
    # Whom nobody ever heard of may be of a version that says nothing, unless its work stands still. An API's is not seen:
    # events may be imported from files alone.
    stands_still = bool(_late(facts, watched))
    found = []
    for role in ROLES:
        last = _last(facts, role)
        if facts.living(role) or (last is None and (role == "api" or not stands_still)):
            continue
        missing = last.age if last is not None else watched
        if missing > MISSED and (watched > MISSED or not living):
            found.append(_missing(facts, role, last, missing))
    return found


def _last(facts: Facts, role: str) -> Beat | None:
    those = [beat for beat in facts.beats if beat.role == role and "lacks" not in beat.says]
    return min(those, key=lambda beat: beat.age, default=None)


_AT_STAKE = {
    "api": "No event is taken in: callers are refused, and what they do not send again is lost. Start `tracklayer api`.",
    "worker": "Events are taken in and kept, but none is delivered, and what waits for longer than the retry window is "
    "dropped; merchants' alerts are not judged either. Start `tracklayer worker`.",
    "scheduler": "Workers start by themselves what is due, every few seconds, so deliveries go on late. Start `tracklayer "
    "scheduler`.",
}


def _missing(facts: Facts, role: str, last: Beat | None, age: timedelta) -> Trouble:
    if last is None:
        heard = f"None has been seen for {lasting(age)}, since the other roles started, and what fires by itself stands still."
    elif last.ended is not None:
        heard = f"The last one, on {last.host}, was stopped {lasting(last.ended)} ago, and none took its place."
    else:
        heard = f"The last one, on {last.host}, has not been heard of for {lasting(last.age)}: its log says why."
    wait = ""
    if role == "worker" and facts.queued:
        wait = f" {counted(facts.queued, 'delivery waits', 'deliveries wait')}."
    return Trouble(
        NO_ROLE[role],
        Severity.CRITICAL,
        f"No {ROLE_NAMES[role]} is running",
        f"{_AT_STAKE[role]}{wait} {heard}",
        facts.now - age,
    )


_DYING_STAKES = {
    "api": "Callers are refused meanwhile, and what they do not send again is lost.",
    "worker": "What each had in hand is given to others and may reach a platform twice, and if none lives for long nothing is "
    "delivered.",
    "scheduler": "Workers start by themselves what is due, so deliveries go on.",
}


def _dying(facts: Facts) -> list[Trouble]:
    """Of processes that are started again and again, and killed each time: one of them always seems to live."""
    found = []
    for role in ROLES:
        those = [
            beat
            for beat in facts.beats
            if beat.role == role and beat.ended is None and not beat.lives and beat.up <= DYING_WITHIN
        ]
        if len(those) < DYING:
            continue
        hosts = _listed(sorted({beat.host for beat in those}))
        found.append(
            Trouble(
                KEEPS_DYING[role],
                Severity.CRITICAL,
                f"The {ROLE_NAMES[role]} keeps dying",
                f"{_DYING_STAKES[role]} {len(those)} that were started within the last {lasting(DYING_WITHIN)}, on {hosts}, "
                "ended without a word. Look into the log of their supervisor: a process that is killed (out of memory, for "
                "instance) can say nothing itself.",
                facts.now - max(beat.up for beat in those),
            )
        )
    return found


def _broker(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    those = [beat for beat in lives if beat.says.get("broker") and _broken(beat) >= BROKER]
    if not those:
        return []
    (wrong, _), *_ = Counter(str(beat.says["broker"]) for beat in those).most_common()
    since = max(_broken(beat) for beat in those)
    return [
        Trouble(
            BROKER_KIND,
            Severity.CRITICAL,
            f"Redis takes no messages: it {_BROKER_WORDS.get(wrong, wrong)}",
            "Nothing is lost: workers look into the database every second instead, so deliveries go on, slower. "
            f"{_BROKER_ADVICE.get(wrong, 'Allow SET, DEL, EVAL, EVALSHA and SCRIPT on tracklayer:* in its ACL.')} "
            f"{_who(those, lives)} finds it so, for {lasting(since)}.",
            facts.now - since,
        )
    ]


def _broken(beat: Beat) -> timedelta:
    """For how long messages have not gone, as far as it said."""
    return _seconds(beat, "broker_seconds") + beat.age


_RAISE = (
    "Raise how many files the process may open (`ulimit -n`, `LimitNOFILE=` of a systemd unit, `fs.file-max` of the machine), and "
    "restart it; where that happens again and again, run more processes."
)
_BROKER_WORDS = {"full": "is full", "a read-only replica": "is a read-only replica"}
_BROKER_ADVICE = {
    "full": "Give it more memory (maxmemory), or delete what others keep in it.",
    "a read-only replica": "Let TRACKLAYER_REDIS_URL lead to the primary.",
    "is not Redis": "Something else listens there: check the host and the port in TRACKLAYER_REDIS_URL.",
    "cannot be connected to for want of files": _RAISE,
    "does not answer": "Start it, and check TRACKLAYER_REDIS_URL and the network.",
}


def database_trouble(state: str | None, since: datetime, seen_by: str, ago: timedelta | None = None) -> Trouble:
    """``state``: the SQLSTATE by which PostgreSQL refused, where it answered at all. ``seen_by``: whom it befell.

    ``ago``: when a write was refused last, where the database serves again and so may all writes.
    """
    if state == "53100":
        kind, title = DATABASE_FULL, "PostgreSQL's disk is full"
        do = "Make room on its disk."
    elif state == "25006":
        kind, title = DATABASE_READ_ONLY, "The database only reads"
        do = "It is a standby, or default_transaction_read_only is on: let TRACKLAYER_DATABASE_URL lead to the primary."
    elif state == OWN_WANT:
        kind, title, do = DATABASE_AWAY, "PostgreSQL cannot be connected to for want of files", _RAISE
    else:
        kind, title = DATABASE_AWAY, "PostgreSQL does not serve"
        do = "Start it, and check its log, its host and the network; `tracklayer doctor` says more."
    if ago is None:
        text = (
            "Events are refused with 503 until it takes writes again: what callers do not send again is lost, and nothing is "
            f"delivered. {do} {seen_by} finds it so."
        )
    else:
        text = (
            f"It refused a write {lasting(ago)} ago, and this is said until none was refused for a minute. While it refuses "
            "them events get 503, what callers do not send again is lost, and nothing is delivered. "
            f"{do} {seen_by} found it so."
        )
    return Trouble(kind, Severity.CRITICAL, title, text, since)


def refused(beats: Iterable[Beat], state: str) -> list[Beat]:
    """Those that live, and from which PostgreSQL took nothing lately, for the same reason."""
    return [
        beat
        for beat in beats
        if beat.lives and beat.says.get("refused") == state and _seconds(beat, "refused_seconds") <= MET
    ]


def _database(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    found = []
    for state in ("53100", "25006"):
        those = refused(facts.beats, state)
        if those:
            last = min(_seconds(beat, "refused_seconds") + beat.age for beat in those)
            found.append(database_trouble(state, facts.now - last, _who(those, lives), last))
    return found


def _refusing(facts: Facts) -> list[Trouble]:
    """Of processes that refused to start: the rows that they left are all there is of them."""
    found = []
    for lacks, kind in (("key", WRONG_KEY), ("migrations", MIGRATIONS)):
        those = [beat for beat in facts.beats if beat.says.get("lacks") == lacks and beat.age <= REFUSALS]
        if not those:
            continue
        whose = sorted({f"{ROLE_NAMES.get(beat.role, beat.role)} on {beat.host}" for beat in those})
        is_one = len(whose) == 1
        who = f"The {_listed(whose)} {'refuses' if is_one else 'refuse'} to start"
        first = max(beat.up for beat in those)
        if lacks == "key":
            title = "A process has the wrong secret key"
            text = (
                f"{who}: {'its' if is_one else 'their'} TRACKLAYER_SECRET_KEY does not open what is sealed in this database. "
                f"What {'it was' if is_one else 'they were'} to do is done by others or by nobody. Give "
                f"{'it' if is_one else 'them'} the key that the others have."
            )
        else:
            title = "The database and a process are of different versions"
            text = (
                f"{who}: run `tracklayer migrate` with the newest version, and start the same version everywhere. What "
                f"{'it was' if is_one else 'they were'} to do is done by others or by nobody."
            )
        found.append(Trouble(kind, Severity.CRITICAL, title, text, facts.now - first))
    return found


def _keys(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    those = [beat for beat in lives if beat.says.get("closed")]
    refusing = any(beat.says.get("lacks") == "key" and beat.age <= REFUSALS for beat in facts.beats)
    if not those or refusing:
        return []
    closed = max(int(beat.says["closed"]) for beat in those)
    return [
        Trouble(
            WRONG_KEY,
            Severity.CRITICAL,
            f"{counted(closed, 'destination')} cannot be opened with the secret keys there are",
            f"Nothing is delivered to {'it' if closed == 1 else 'them'}, and what waits for longer than the retry window is "
            f"dropped. {_who(those, lives)} lacks a key that sealed {'its' if closed == 1 else 'their'} secrets: put it "
            "back into TRACKLAYER_SECRET_KEY, behind the newest, and restart; or set the destinations' secrets anew.",
            facts.now,
        )
    ]


def _queue(facts: Facts) -> list[Trouble]:
    waiting = facts.waiting
    if waiting is None or not waiting.destinations:
        return []
    count = f"{counted(waiting.destinations, 'destination')}{' or more' if waiting.more else ''}"
    whose = counted(waiting.merchants, "merchant")
    platforms = Counter(waiting.stalled) + Counter(waiting.slow)
    where = _listed([f"{name} {number:,}" for name, number in platforms.most_common(5)])
    if waiting.stalled:
        todo = (
            f"Nobody serves {sum(waiting.stalled.values()):,} of them though workers live: look into the workers' log, and "
            "restart them if it says nothing."
        )
    elif len(platforms) == 1:
        todo = "All wait at one platform: it is slow or limits the rate, or start more workers."
    else:
        todo = "They come faster than they go: start more workers."
    return [
        Trouble(
            OLD_QUEUE,
            Severity.CRITICAL if waiting.stalled else Severity.WARNING,
            f"Deliveries wait at {count} of {whose}",
            f"The oldest has been due for {lasting(waiting.oldest)}; usually none waits for longer than a second. {todo} "
            f"By platform: {where}.",
            facts.now - waiting.oldest,
        )
    ]


def _jobs(facts: Facts) -> list[Trouble]:
    late = _late(facts, _together(beat for beat in facts.beats if beat.role == "worker" and "lacks" not in beat.says))
    if not late:
        return []
    names = _listed([f"{name} for {lasting(age)}" for name, age in late.items()])
    return [
        Trouble(
            JOBS_LATE,
            Severity.CRITICAL,
            f"{_listed(list(late)).capitalize()} {'does' if len(late) == 1 else 'do'} not run any more",
            f"{' '.join(_JOB_STAKES[name] for name in late)} Not run: {names}, though workers live. Look into the workers' "
            "log, and restart them if it says nothing.",
            facts.now - max(late.values()),
        )
    ]


def _late(facts: Facts, watched: timedelta) -> dict[str, timedelta]:
    """Job -> for how long it did not run, of those that should have. ``watched``: since when anybody could have run it."""
    late: dict[str, timedelta] = {}
    for name in JOBS:
        limit = max(JOB_INTERVALS * facts.intervals.get(name, timedelta()), JOB_LATE)
        job = facts.jobs.get(name, JobFacts(None, False))
        age = watched if job.begun is None else job.begun
        if not job.busy and min(age, watched) > limit:
            late[name] = age
    return late


def _together(beats: Iterable[Beat]) -> timedelta:
    """Since when there was always one or another of these processes, as if each had lived until it is missed."""
    since = timedelta()
    for beat in sorted(beats, key=lambda beat: beat.age):
        if beat.age - since > MISSED:
            break
        since = max(since, beat.up)
    return since


_JOB_STAKES = {
    "sweep": "Retries and what lost its wake-up are late.",
    "monitor": "Merchants' alerts are not judged.",
    "fold": "Counters are not added up, so pages and monitors become slow.",
    "purge": "What is past its retention is not deleted.",
}


def _untold(facts: Facts) -> list[Trouble]:
    """Merchants whose alerts do not reach them. The operator is told by each channel, and so by one that works."""
    found, untold = [], facts.untold
    if untold is not None and (untold.mails or untold.lost) and untold.mails_since is not None:
        what, fate = [], []
        if untold.mails:
            what.append(counted(untold.mails, "mail waits", "mails wait"))
            fate.append("That an alert is open is tried again for as long as it is, its end for 24 hours.")
        if untold.lost:
            what.append(f"{counted(untold.lost, 'mail was', 'mails were')} given up or may not have arrived")
            fate.append("What was given up, or may have arrived, is not sent again.")
        found.append(
            Trouble(
                MAILS_FAIL,
                Severity.WARNING,
                "The mail server takes no mail",
                f"Merchants are not told of their alerts by e-mail: {', '.join(what)} since "
                f"{clock_time(untold.mails_since)}, and none went out in the last {lasting(UNTOLD)}. Check TRACKLAYER_SMTP_URL, and "
                f"the mail server's log. {' '.join(fate)} The last error: {untold.error}.",
                untold.mails_since,
            )
        )
    elif untold is not None and untold.overdue and untold.overdue_since is not None:
        why = (
            "the mail server takes too long for each. Name a faster one in TRACKLAYER_SMTP_URL, or start more workers."
            if untold.mails_go
            else f"in the last {lasting(UNTOLD)} no worker tried any. Set TRACKLAYER_SMTP_URL for each process that sends: without "
            "it, none does."
        )
        found.append(
            Trouble(
                MAILS_FAIL,
                Severity.WARNING,
                "Mails about merchants' alerts are late",
                f"{counted(untold.overdue, 'mail is', 'mails are')} due and not sent, the oldest since "
                f"{clock_time(untold.overdue_since)}: {why} All are sent that are still needed then.",
                untold.overdue_since,
            )
        )
    if untold is not None and untold.channels and untold.channels_since is not None:
        what_to_do = (
            "Nobody's were taken in the last hour: look at this installation's network."
            if untold.none_taken
            else "Where it is all of them, look at this installation's network; else the merchant corrects the address: "
            "`lastError` of the channel says why."
        )
        found.append(
            Trouble(
                WEBHOOKS_FAIL,
                Severity.CRITICAL if untold.none_taken else Severity.WARNING,
                f"{counted(untold.channels, 'alert channel')} of {counted(untold.merchants, 'merchant')} "
                f"{'takes' if untold.channels == 1 else 'take'} no messages",
                f"Merchants are not told of their alerts by webhook or Slack: {counted(untold.messages, 'message waits', 'messages wait')}"
                f", the oldest since {clock_time(untold.channels_since)}. {what_to_do} That an alert is open is tried again for as long "
                "as it is, all else for 24 hours.",
                untold.channels_since,
            )
        )
    return found


def _platforms(facts: Facts) -> list[Trouble]:
    """No trouble of ours, unless it is all of them: then it is told with each."""
    others = len(facts.down) > 1
    network = (
        "Other platforms are down too: look at this installation's network."
        if others
        else "You need do nothing; where other platforms follow, look at this installation's network."
    )
    return [
        Trouble(
            f"{PLATFORM_DOWN}:{down.platform}",
            Severity.WARNING,
            f"{down.title} serves no merchant",
            f"Since {clock_time(down.since)} no request of any merchant was answered ({down.reason}). "
            f"{counted(down.held, 'destination')}{' or more' if down.more else ''} with something to send "
            f"{'is' if down.held == 1 and not down.more else 'are'} held, a few probes go out every half minute to five minutes, and "
            f"all is sent once one is answered; what waits for longer than the retry window is dropped. {network}",
            down.since,
        )
        for down in sorted(facts.down, key=lambda down: down.platform)
    ]


def _sandbox(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    those = [beat for beat in lives if beat.says.get("sandbox")]
    if not those:
        return []
    real = max(int(beat.says["sandbox"]) for beat in those)
    return [
        Trouble(
            SANDBOX,
            Severity.WARNING,
            f"TRACKLAYER_SANDBOX_URL is set beside {counted(real, 'real destination')}",
            f"What is meant for {'it' if real == 1 else 'them'} goes to the emulator, and none of it to a platform. Unset it in "
            f"production, and restart. {_who(those, lives)} has it set.",
            facts.now,
        )
    ]


def _no_sandbox(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    those = [beat for beat in lives if beat.says.get("invented")]
    if not those:
        return []
    found = max(int(beat.says["invented"]) for beat in those)
    one = found == 1
    return [
        Trouble(
            NO_SANDBOX,
            Severity.WARNING,
            f"{counted(found, 'destination')} {'has' if one else 'have'} the invented settings of a trial, and there is no sandbox",
            f"Nothing is sent to {'it' if one else 'them'}, and what waits for longer than the retry window is dropped. Start with "
            f"`tracklayer up --sandbox`, set TRACKLAYER_SANDBOX_URL, or give {'it' if one else 'them'} real settings. "
            f"{_who(those, lives)} has no sandbox set.",
            facts.now,
        )
    ]


def _files(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    those = [beat for beat in lives if "no_files" in beat.says and _seconds(beat, "no_files") <= MET]
    if not those:
        return []
    return [
        Trouble(
            NO_FILES,
            Severity.CRITICAL,
            f"{_who(those, lives)} could open no more files",
            "Each connection is one: what it could not connect for is tried again every few seconds, costs no attempt and is no fault of "
            f"a platform's, of PostgreSQL's or of Redis'. {_RAISE}",
            facts.now - max(_seconds(beat, "no_files") + beat.age for beat in those),
        )
    ]


def _clocks(facts: Facts) -> list[Trouble]:
    lives = [beat for beat in facts.beats if beat.lives]
    off = {
        beat.host: float(beat.says["ahead"])
        for beat in lives
        if abs(float(beat.says.get("ahead", 0))) > CLOCK.total_seconds()
    }
    unsure = sorted({beat.host for beat in lives if beat.says.get("unsure")})
    if not off and not unsure:
        return []
    those = [f"{host} is {abs(by):.0f} s {'ahead' if by > 0 else 'behind'}" for host, by in sorted(off.items())]
    told = f"Measured against PostgreSQL's, {_listed(those)}. " if off else ""
    stop = f"{_listed(unsure)} delivers nothing until PostgreSQL's clock is believed again. " if unsure else ""
    return [
        Trouble(
            CLOCK_OFF,
            Severity.WARNING,
            f"The clock of {_listed(sorted({*off, *unsure}))} is wrong",
            f"{stop}Due times go by PostgreSQL's clock and stay right, but TLS and the signatures of some platforms fail by a "
            f"wrong one. {told}Set up NTP on all machines, PostgreSQL's too.",
            facts.now,
        )
    ]


def _seconds(beat: Beat, name: str) -> timedelta:
    return timedelta(seconds=float(beat.says.get(name, 0)))


def _who(those: Sequence[Beat], lives: Sequence[Beat]) -> str:
    """``The worker on a``, or how many of the living processes: what has several roles is one."""
    found, living = _processes(those), _processes(lives)
    if len(found) == 1:
        [((host, _), roles)] = found.items()
        return process_on(host, roles)
    of_all = f" of {len(living)}" if len(found) < len(living) else ""
    return f"Each of {len(found)}{of_all} processes"


def _processes(beats: Iterable[Beat]) -> dict[tuple[str, str], set[str]]:
    """The roles of each."""
    found: dict[tuple[str, str], set[str]] = {}
    for beat in beats:
        found.setdefault((beat.host, beat.instance), set()).add(beat.role)
    return found


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, and no more than five."""
    shown = list(names[:5])
    if len(names) > 5:
        shown[4:] = [f"{len(names) - 4} more"]
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part) if shown else ""
