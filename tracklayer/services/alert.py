"""The life of an alert: opened, seen again, quiet, resolved, opened again, acknowledged.

One alert a merchant and subject is open at a time, however many schedulers look. Each opening and resolving is
written down as a change, and its e-mails as rows that wait, in the same transaction: whoever reads either later finds
both. That is so whether or not this process could send them: another one may, or the mail server is set later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from tracklayer import metrics
from tracklayer.db import alert_changes, alert_mails
from tracklayer.db import alerts as db
from tracklayer.db.alert_mails import Due
from tracklayer.db.connection import after_commit, in_transaction
from tracklayer.db.destinations import destination
from tracklayer.db.models import AlertRow
from tracklayer.db.monitors import Key
from tracklayer.db.worth import Ages, Failing, Lost, Only, Teller, failing_since, lost_since
from tracklayer.domain.alert import (
    AHEAD,
    REOPEN_WITHIN,
    AlertKind,
    Finding,
    Known,
    Severity,
    Step,
    Subject,
    began_at,
    is_news,
    next_step,
)
from tracklayer.domain.alert_members import Member, all_told, also_about, member_name, with_joined
from tracklayer.domain.delivery import UNMAPPABLE, DropReason
from tracklayer.domain.monitors.causes import WANTS_SOMEBODY, Cause
from tracklayer.domain.monitors.views import AGED
from tracklayer.domain.monitors.worth import CAME_TOO_LATE, NOTHING, details, still_fails, was_lost, were
from tracklayer.domain.problem import Problem
from tracklayer.domain.text import is_storable
from tracklayer.mappers import PLATFORMS, mapper_for, title_of
from tracklayer.runtime import Runtime
from tracklayer.services import channels
from tracklayer.services.alone import alone

log = logging.getLogger(__name__)

for _kind in AlertKind:
    for _change in ("opened", "resolved"):
        metrics.ALERTS.labels(_kind, _change)  # from 0 on: else the first one would not be seen

A_MINUTE = timedelta(minutes=1)  # in which it began: what failed before all of it did is of the same trouble
LOOK_AFTER = timedelta(minutes=5)  # at what had failed when an alert is over: most is taken at the next attempt
LONGEST_SNOOZE = timedelta(days=90)
MAX_NOTE = 1000  # characters


def settle_findings(
    runtime: Runtime, merchant_id: int, findings: Sequence[Finding], judged: Collection[Subject], now: datetime
) -> list[int]:
    """Makes a merchant's alerts what the monitors found; ids of those that opened, opened again or resolved.

    ``judged``: the subjects that were looked at. An open alert of one without a finding is quiet, and resolves when
    that has lasted (domain.alert.QUIET); subjects that were not judged stay as they are. One transaction; safe with any
    number of callers at once, and a verdict that comes late undoes no later one. Two findings of one subject: the last
    one counts.
    """
    by_subject: dict[Subject, Finding | None] = dict.fromkeys(judged)
    by_subject.update({finding.subject: finding for finding in findings})
    since, until = now - REOPEN_WITHIN, now + AHEAD
    with in_transaction():
        if not any(
            step is not Step.NONE for _, _, step in _steps(db.known_alerts(merchant_id, since, until), by_subject, now)
        ):
            return []
        db.lock_alerts(merchant_id)
        steps = _steps(db.known_alerts(merchant_id, since, until), by_subject, now)
        changed = [_take(runtime, merchant_id, known, finding, step, now) for known, finding, step in steps]
        ids = [alert_id for alert_id in changed if alert_id is not None]
        rows = db.alerts_by_id(merchant_id, ids) if ids else {}
    for row in rows.values():
        _tell(row)
    return ids


def _tell(row: AlertRow) -> None:
    state = "opened" if row.resolved_at is None else "resolved"
    more = {
        "kind": f"alert_{state}",
        "merchant_id": row.merchant_id,
        "alert_id": row.alert_id,
        "alert": row.kind,
        "platform": row.platform,
        "severity": row.severity,
    }
    about = f", {row.platform}" if row.platform else ""
    log.info(
        f"merchant %s%s: alert %s {state}, %s",  # noqa: G004 - each is a line of its own kind
        row.merchant_id,
        about,
        row.alert_id,
        row.kind,
        extra=more,
    )


def check_note(note: str | None) -> list[Problem]:
    """What is wrong with a note; None is none."""
    if note is not None and len(note) > MAX_NOTE:
        return [Problem(("note",), "TOO_LONG", f"A note may have {MAX_NOTE:,} characters.")]
    if note is not None and not is_storable(note):
        return [Problem(("note",), "INVALID_CHARACTER", "The note holds a character that cannot be stored.")]
    return []


def acknowledge_alert(runtime: Runtime, merchant_id: int, alert_id: int, note: str | None = None) -> AlertRow | None:
    """The alert, known to somebody since now or since it was first acknowledged: nobody is told that it is open any more.

    ``note``: what they have to say, as ``check_note`` admits it; None keeps what was said before, empty text removes it.
    None where the merchant has no such alert.
    """
    now = runtime.clock.now()
    with in_transaction():
        db.lock_alerts(merchant_id)
        row = db.acknowledge(merchant_id, alert_id, now, note)
        if row is not None:
            alert_mails.cancel_waiting(merchant_id, alert_id, now)
            channels.note_snooze(row, "", None, now)
    return row


def snooze_alert(
    runtime: Runtime, merchant_id: int, alert_id: int, until: datetime | None
) -> AlertRow | list[Problem] | None:
    """The alert, of whose being open nobody is told before ``until``; if it still is then, all are told once more.

    None wakes it: if it is open, all are told now. An alert that somebody has acknowledged is not told of again. None
    where the merchant has no such alert.
    """
    now = runtime.clock.now()
    if until is not None and not now < until <= now + LONGEST_SNOOZE:
        message = f"Snooze it until an instant that lies ahead, at most {LONGEST_SNOOZE.days} days; null wakes it."
        return [Problem(("until",), "INVALID_VALUE", message)]
    with in_transaction():
        db.lock_alerts(merchant_id)
        before = db.alerts_by_id(merchant_id, [alert_id]).get(alert_id)
        row = db.snooze(merchant_id, alert_id, until)
        if before is None or row is None:
            return None
        was_asleep = before.snoozed_until is not None and before.snoozed_until > now
        if until is None and not was_asleep:
            return row
        remind_at = None
        if row.resolved_at is None and row.acknowledged_at is None:
            remind_at = until or now
        _remind(runtime, row, remind_at, now)
    return row


def _remind(runtime: Runtime, row: AlertRow, at: datetime | None, now: datetime) -> None:
    """Takes back what was to be told of an open alert, and writes down when it is told again; None: not at all."""
    url = channels.alert_url(runtime.settings.public_url, row.merchant_id, row.alert_id)
    channels.note_snooze(row, url, at, now)
    alert_mails.cancel_waiting(row.merchant_id, row.alert_id, now, ["open"])
    if at is not None:
        due = [Due(recipient, at, reminds=True) for recipient in alert_mails.recipients(row.merchant_id)]
        # A number as a change has, and no change: whoever follows the alerts has been told that it is open.
        number = alert_changes.next_number()
        alert_mails.insert_mails(row.merchant_id, row.alert_id, number, "open", due)


def _steps(
    known: dict[Subject, Known], by_subject: dict[Subject, Finding | None], now: datetime
) -> list[tuple[Known | None, Finding | None, Step]]:
    return [
        (known.get(subject), finding, next_step(known.get(subject), finding, now))
        for subject, finding in by_subject.items()
    ]


def _take(
    runtime: Runtime, merchant_id: int, known: Known | None, finding: Finding | None, step: Step, now: datetime
) -> int | None:
    """Does one step; the alert's id where it opened or resolved."""
    if step is Step.OPEN:
        assert finding is not None
        alert_id = db.insert_alert(merchant_id, finding, now)
        if alert_id is not None:
            db.keep_told(merchant_id, alert_id)
            if finding.members:
                db.keep_members(merchant_id, alert_id, all_told(_members(finding), now))
            _note(runtime, merchant_id, alert_id, "open", now)
            _count(finding.kind, "opened")
        return alert_id
    if known is None or step is Step.NONE:
        return None
    match step:
        case Step.QUIET:
            db.quiet_alert(merchant_id, known.alert_id, now)
        case Step.RESOLVE:
            db.resolve_alert(merchant_id, known.alert_id, now)
            row = db.alerts_by_id(merchant_id, [known.alert_id])[known.alert_id]
            _keep_balance(row, now)
            _name_all(row)
            _note(runtime, merchant_id, known.alert_id, "resolved", now)
            _count(known.subject.kind, "resolved")
            return known.alert_id
        case _:
            assert finding is not None
            was_undone = db.see_alert(merchant_id, known.alert_id, finding, now)
            if any(isinstance(finding.details.get(name), list | tuple) for name in db.LISTED):
                db.keep_listed(merchant_id, known.alert_id)
            is_other = _has_another_cause(merchant_id, known.alert_id, finding)
            if finding.members:
                is_back = step is Step.REOPEN
                is_other |= _has_another_member(merchant_id, known.alert_id, finding, now, is_back=is_back)
            is_graver = finding.severity is Severity.CRITICAL and known.severity is not Severity.CRITICAL
            if step is Step.REOPEN:
                db.keep_told(merchant_id, known.alert_id)
                _note(runtime, merchant_id, known.alert_id, "open", now, is_nobodys=was_undone)
                _count(finding.kind, "opened")
            has_lost = "lost_deliveries" in finding.details and db.keep_loss(merchant_id, known.alert_id)
            if is_other or has_lost:
                row = db.alerts_by_id(merchant_id, [known.alert_id])[known.alert_id]
                if row.acknowledged_at is None:
                    _remind(runtime, row, max(now, row.snoozed_until or now), now)
            if step is Step.REOPEN:
                return known.alert_id
            if is_graver:
                _note_graver(runtime, merchant_id, known.alert_id, now)
    return None


def _is_end_told(merchant_id: int, alert_id: int) -> bool:
    """Whether everybody who was told of an alert by e-mail, and is still to be told, was told of its end, too; channels are in any case.

    An end that is in the server's hands may come back.
    """
    recipients = set(alert_mails.recipients(merchant_id))
    if not recipients.isdisjoint(alert_mails.undecided(merchant_id, alert_id)):
        return False
    heard = alert_mails.heard(merchant_id, alert_id)
    return all(one.state == "resolved" for recipient, one in heard.items() if recipient in recipients)


def _has_another_cause(merchant_id: int, alert_id: int, finding: Finding) -> bool:
    """Whether somebody must act on what nobody was told of yet, though the alert is open already; from now on it is told."""
    if finding.details.get("cause") in WANTS_SOMEBODY:
        return any(db.keep_cause(merchant_id, alert_id, name) for name in ("cause", "ground"))
    return "leading" in finding.details and db.keep_cause(merchant_id, alert_id, "leading")


def _members(finding: Finding) -> dict[str, bool]:
    return {member_name(name): costs for name, costs in finding.members.items()}


def _has_another_member(merchant_id: int, alert_id: int, finding: Finding, now: datetime, *, is_back: bool) -> bool:
    """Whether it is about a name now of which nobody was told, and which costs conversions; from now on it is told.

    ``is_back``: it opens again, and with that tells those who have not taken note of it of what it is about now.
    """
    row = db.alerts_by_id(merchant_id, [alert_id])[alert_id]
    before, found = db.members_of(row.told) or _members_told(row), _members(finding)
    if before is None:
        after, is_news = all_told(found, now), False
    else:
        after, is_news = with_joined(before, found, now)
    if is_back and row.acknowledged_at is None:
        # Of the others it tells nothing: they are told when they are back, too.
        after = {name: one if name in found else replace(one, told_at=None) for name, one in after.items()}
        if _is_end_told(merchant_id, alert_id):  # all hear that it is back
            after |= all_told(found, now)
    if is_news or after != before:
        db.keep_members(merchant_id, alert_id, after, are_told=is_news)
    return is_news


def _members_told(row: AlertRow) -> dict[str, Member] | None:
    """Of an alert of which a version before this one noted no members: those that it was told with; None where it did not say all."""
    details = (row.told or {}).get("details", {})
    names = _alike(details) or details.get("event_names")
    if not isinstance(names, list) or details.get("alike_count", len(names)) != len(names):
        return None
    return all_told([member_name(name) for name in names], row.opened_at)


def _alike(details: Mapping[str, Any]) -> list[str]:
    """What the details of one that is gathered list, as its members are called; of others nothing."""
    return [
        member_name(one["event_name"], None if one["platform"] is None else title_of(one["platform"]))
        for one in details.get("alike", ())
    ]


def _name_all(row: AlertRow) -> None:
    """Adds to what its end tells the names that it was about as well, told or not."""
    is_of_all = row.kind == AlertKind.EVENTS_REJECTED and row.event_name is None  # its words have the commonest names
    members = None if is_of_all else db.members_of(row.told)
    if members and row.told and (alike := _alike(row.told["details"])):  # the title is about the first
        members = {name: one for name, one in members.items() if name != alike[0]}
    sentence = also_about(f"{row.told['title']} {row.told['message']}", members) if members and row.told else ""
    if sentence:
        db.keep_also(row.merchant_id, row.alert_id, sentence)


REFUSES = frozenset({AlertKind.PLATFORM_DOWN, AlertKind.DELIVERY_RATE_DROP})
OF_LOSSES = REFUSES | {AlertKind.QUEUE_BACKLOG}
IN_VAIN = {DropReason.EVENT_TOO_OLD, DropReason.MISSING_IDENTIFIERS, CAME_TOO_LATE}  # no redelivery saves these


def _lost_by(row: AlertRow) -> set[str]:
    """The reasons for which what it is about loses deliveries; what is lost for others would have been lost without it."""
    if row.kind == AlertKind.QUEUE_BACKLOG:
        return {*AGED}
    if row.kind not in REFUSES or row.told is None:
        return set()
    causes = _causes(row)
    reasons: set[str] = {*UNMAPPABLE, CAME_TOO_LATE} if Cause.UNMAPPABLE in causes else set()
    return reasons | {*AGED, DropReason.RETRIES_EXHAUSTED} if causes - {Cause.UNMAPPABLE} else reasons


def _causes(row: AlertRow) -> set[str | None]:
    """What it was put down to, when it was told and at last."""
    told = row.told or {"details": {}}
    last = (
        {row.details.get("cause")} if row.resolved_at is not None else set()
    )  # of one that is open another one may be last
    return {told["details"].get("cause"), *told.get("causes", ()), *_named(row, "name_causes")} | last


@dataclass(frozen=True, slots=True)
class Loss:
    """What an alert may have cost. ``since``: from when on what was lost was not told by an earlier end of it to somebody. ``others``: what
    tells what was lost, in place of it, while it is open; ``others_later``: and what failed then, when it is over.
    """

    keys: Sequence[Key]
    ages: Mapping[Key, Ages]
    began: datetime
    since: datetime
    reasons: Collection[str]
    only: Only
    is_removed: bool
    others: Sequence[Teller] = ()
    others_later: Sequence[Teller] = ()

    def failing(self, until: datetime | None) -> Failing:
        """Of what failed while it was open, which may be lost yet: what waits."""
        if DropReason.RETRIES_EXHAUSTED not in self.reasons:
            return Failing(0, NOTHING, None)
        return failing_since(dict.fromkeys(self.keys, self.began - A_MINUTE), until, self.only.names)

    def failed(self, until: datetime) -> tuple[datetime, datetime]:
        """From when until when what is of its trouble failed first."""
        return self.began - A_MINUTE, until

    def lost(self, until: datetime, now: datetime) -> Lost:
        """Until it was over, and is lost yet."""
        since = dict.fromkeys(self.keys, self.since)
        only = replace(self.only, until=until, told=(*self.only.told, *self.others))
        return lost_since(since, self.reasons, self.ages, now, IN_VAIN, only)

    def lost_later(self, over_at: datetime, now: datetime) -> Lost:
        """Since then, of what had failed by then."""
        since = dict.fromkeys(self.keys, over_at + timedelta.resolution)
        only = replace(self.only, failed=self.failed(over_at), told=(*self.only.told, *self.others_later))
        return lost_since(since, self.reasons, self.ages, now, IN_VAIN, only)

    def tellers(self, over_at: datetime | None) -> list[Teller]:
        """It itself, of what is lost until it is over."""
        return [
            Teller(key[1], self.began, over_at, self.reasons, self.only.names, self.only.refused) for key in self.keys
        ]


def loss_of(row: AlertRow, told_at: datetime | None = None, unheard: Collection[int] = ()) -> Loss | None:
    """None where it is about nothing that is lost. ``told_at``: without what was told by its end of then, or after that.

    What was lost is told by the alert that was open then, of several by the one that opened first; what was lost when none was open, by
    the first of those that were open when it failed. ``unheard``: alerts that tell it nobody who is told this.
    """
    loss = _own_loss(row, told_at)
    if loss is None or not loss.reasons:
        return loss
    others, later = list[Teller](), list[Teller]()
    for other in _beside(row):
        # What somebody has taken note of tells nobody its end by e-mail.
        is_silent = other.acknowledged_at is not None or other.alert_id in unheard
        its = None if is_silent else _own_loss(other)
        if its is None or not its.reasons:
            continue
        tellers = its.tellers(other.resolved_at)
        later += tellers
        if _is_earlier(other, row):
            others += tellers
            if other.resolved_at is not None:
                failed = its.failed(other.resolved_at)
                later += [replace(one, since=one.until, until=None, failed=failed) for one in tellers]
    return replace(loss, others=others, others_later=later)


def _beside(row: AlertRow) -> list[AlertRow]:
    """The other alerts that may tell what it has lost."""
    if row.told is None or not _lost_by(row):
        return []
    since, platforms = began_at(row.opened_at, row.details, row.told["details"]) - A_MINUTE, _platforms(row)
    others = db.alerts_beside(row.merchant_id, row.alert_id, OF_LOSSES, since)
    return [one for one in others if not platforms.isdisjoint(_platforms(one))]


def _platforms(row: AlertRow) -> set[str]:
    # Others may have joined those that it was told of, and left again.
    return {row.platform} if row.platform else _named(row, "platforms")


def _is_earlier(one: AlertRow, other: AlertRow) -> bool:
    return (one.opened_at, one.alert_id) < (other.opened_at, other.alert_id)


def _own_loss(row: AlertRow, told_at: datetime | None = None) -> Loss | None:
    """The same, but that others may tell it, too."""
    reasons = _lost_by(row)
    if row.told is None or not (reasons or row.platform):
        return None
    platforms = _platforms(row)
    began = began_at(row.opened_at, row.details, row.told["details"])
    keys = [(row.merchant_id, platform) for platform in sorted(platforms)]
    there = {key: destination(*key) for key in keys}
    is_removed = row.platform is not None and there[row.merchant_id, row.platform] is None
    ages = {
        key: mapper_for(key[1]).oldest_ages(found.settings if found is not None else {})
        for key, found in there.items()
        if key[1] in PLATFORMS
    }
    is_of_names = "event_names" in row.details and "event_names" in row.told["details"]
    late = row.told.get("late")
    if late and (told_at is None or datetime.fromisoformat(late[2]) != told_at):
        late = None
    only = Only(
        _named(row, "event_names") if is_of_names else None,
        AGED if _is_of_refusals(row) else (),
        told=[_told_late(platform, late) for platform in platforms] if late else (),
    )
    since = began if told_at is None else max(began, datetime.fromisoformat(late[1]) if late else told_at)
    return Loss(keys, ages, began, since, reasons, only, is_removed)


def _told_late(platform: str, noted: Sequence[str]) -> Teller:
    first, second, third = map(datetime.fromisoformat, noted)
    return Teller(platform, None, third, failed=(first, second))


def _is_of_refusals(row: AlertRow) -> bool:
    """Whether nothing is its matter but what the platform, or its rules, refused: what was never sent is lost to something else."""
    return row.kind in REFUSES and _causes(row) <= {Cause.REFUSED, Cause.UNMAPPABLE}


def _keep_balance(row: AlertRow, now: datetime) -> None:
    """Adds to what its end tells what was lost to its destinations from when it began, what may be lost yet, and that its
    destination was removed.
    """
    loss = loss_of(row)
    if loss is None:
        return
    failing = None if loss.is_removed else loss.failing(None)
    sentence = "" if failing is None else still_fails(failing.count, failing.worth, failing.until)
    db.keep_balance(row.merchant_id, row.alert_id, *balance_of(loss, now, now, failing=sentence), over_at=now)
    if failing is not None and (failing.count or not failing.worth.is_all):
        db.keep_failing(row.merchant_id, row.alert_id, sentence, now + LOOK_AFTER)


def balance_of(
    loss: Loss, over_at: datetime, now: datetime, *, later: Lost | None = None, failing: str = ""
) -> tuple[str, dict[str, Any]]:
    """(what the end says of losses, the same as ``details`` have it). ``later``: what was lost since it was over, where that is told
    now; ``failing``: what is said of what may be lost yet.
    """
    lost = loss.lost(over_at, now)  # what was sent again since is not lost
    if later is None and loss.is_removed:
        before = f" Before that, {were(lost.count, lost.worth)} lost." if lost.count else ""
        said = [f"The destination was removed, and what waited for it is dropped.{before}"]
    else:
        said = [was_lost(lost.count, lost.worth, lost.saved, lost.worth_saved), failing]
    count, worth = lost.count, lost.worth
    if later is not None:
        said = [was_lost(later.count, later.worth, later.saved, later.worth_saved, "since it was over"), *said]
        count, worth = later.count + count, later.worth + worth
    figures = {"lost_deliveries": count, **details(lost_worth=worth)} if count else {}
    return " ".join(one for one in said if one), figures


def _as_told(row: AlertRow, told_at: datetime | None, unheard: frozenset[int], now: datetime) -> AlertRow:
    """An alert that is over as its end is told to somebody. ``told_at``: as of when they were told last of an earlier end, of which they
    know what was lost until then; None: of none. ``unheard``: the other alerts of which they hear nothing.
    """
    loss = loss_of(row, told_at, unheard) if told_at is not None or unheard else None
    if loss is None or row.told is None or row.resolved_at is None:
        return row
    over_at = row.resolved_at
    later = loss.lost_later(over_at, now) if _is_late(row) else None
    sentence, figures = balance_of(loss, over_at, now, later=later, failing=row.told.get("failing") or "")
    known = {name: one for name, one in row.told["details"].items() if name not in ("lost_deliveries", "lost_worth")}
    told = {**row.told, "balance": sentence, "details": {**known, **figures}, "lost_later": later.count if later else 0}
    return AlertRow(**{**row.__data__, "told": told})


def end_of(row: AlertRow, now: datetime) -> channels.End:
    """Of an alert that is over."""
    beside = {one.alert_id for one in _beside(row) if _is_late(row) or _is_earlier(one, row)}
    as_told = cache(lambda told_at, unheard: _as_told(row, told_at, unheard, now))
    return channels.End(
        over_as_of(row), beside, lambda told_at, hears: as_told(told_at, frozenset(beside.difference(hears)))
    )


def mailed_end(row: AlertRow, end: channels.End, now: datetime) -> Callable[[str], AlertRow]:
    """An alert that is over as its end is told to an address."""
    told_over = alert_mails.told_over(row.merchant_id, row.alert_id, end.over_at)
    hears = alert_mails.hears(row.merchant_id, end.beside, now) if end.beside else {}
    return lambda recipient: end.as_told(told_over.get(recipient), hears.get(recipient, ()))


def _is_late(row: AlertRow) -> bool:
    """Whether it was told already what was lost since it was over."""
    late = (row.told or {}).get("late")
    return late is not None and datetime.fromisoformat(late[1]) == row.resolved_at


def over_as_of(row: AlertRow) -> datetime:
    """As of when it is over: whoever was told so before was told of an earlier end."""
    noted = (row.told or {}).get("over_at")
    assert row.resolved_at is not None
    return datetime.fromisoformat(noted) if noted else row.resolved_at


def _named(row: AlertRow, name: str) -> set[str]:
    """What stands in a list of its details, or stood there since it opened."""
    lists = (row.details, (row.told or {}).get("details", {}), row.told or {})
    return {one for found in lists for one in found.get(name, ())}


def _count(kind: AlertKind, change: str) -> None:
    after_commit(metrics.ALERTS.labels(kind, change).inc)


def _note_graver(runtime: Runtime, merchant_id: int, alert_id: int, now: datetime) -> None:
    """Tells that it became critical, to whoever does not know it yet.

    Who is about to be told of it anyway, now or when it is not snoozed any more, is told then.
    """
    db.keep_graver(merchant_id, alert_id)
    row = db.alerts_by_id(merchant_id, [alert_id])[alert_id]
    channels.note_open(row, channels.alert_url(runtime.settings.public_url, merchant_id, alert_id), now)
    is_asleep = row.snoozed_until is not None and row.snoozed_until > now
    if not is_asleep:
        _mail_news(row, alert_mails.recipients(merchant_id), now)


def tell_added(merchant_id: int, added: Collection[str], now: datetime) -> None:
    """Writes down that new addresses are told of what is open. Needs ``lock_alerts``."""
    for row in db.open_alerts(merchant_id) if added else ():
        _mail_news(row, added, max(now, row.snoozed_until or now))


def tell_unwritten(runtime: Runtime) -> None:
    """Writes down the e-mails about what is open that were to be written as it opened, and were not: by a version before this one,
    which may go on for a while beside it.
    """
    now = runtime.clock.now()
    with in_transaction():
        found = alert_mails.unwritten(None, alert_mails.MOST_ALERTS)
    for merchant_id in sorted({merchant_id for merchant_id, _, _ in found}):
        with alone(runtime, f"telling merchant {merchant_id} of what is open"), in_transaction():
            db.lock_alerts(merchant_id)
            unwritten = {one[1]: one[2] for one in alert_mails.unwritten(merchant_id, alert_mails.MOST_ALERTS)}
            for row in db.alerts_by_id(merchant_id, list(unwritten)).values():
                _mail_news(row, unwritten[row.alert_id], max(now, row.snoozed_until or now))


def _mail_news(row: AlertRow, recipients: Collection[str], at: datetime) -> None:
    """Writes down the e-mails to those of these who do not know that an alert is open, or how bad it is, and are not to be told anyway."""
    if row.acknowledged_at is not None:
        return
    heard = alert_mails.heard(row.merchant_id, row.alert_id)
    waiting = alert_mails.waiting(row.merchant_id, row.alert_id)
    due = [Due(one, at) for one in recipients if one not in waiting and is_news(heard.get(one), row.severity)]
    if due:
        alert_mails.insert_mails(row.merchant_id, row.alert_id, alert_changes.next_number(), "open", due)


def _note(
    runtime: Runtime, merchant_id: int, alert_id: int, state: str, now: datetime, *, is_nobodys: bool = False
) -> None:
    """Writes the change down, and the e-mails that it makes due. ``is_nobodys``: somebody had taken note of it, which does not hold any
    more: those who know only that it was open are told again, too.

    A resolving is told to those who were told, or were about to be told, of the opening: nobody learns only the half
    of it. It may have been so short that nobody was: what was lost in it is told to those who know of an earlier end.
    Whoever was told of none of them, nor is any more, gets nothing.
    """
    change_id = alert_changes.insert_change(merchant_id, alert_id, state, now)
    row = db.alerts_by_id(merchant_id, [alert_id])[alert_id]
    url = channels.alert_url(runtime.settings.public_url, merchant_id, alert_id)
    end = end_of(row, now) if state == "resolved" else None
    if end is None:
        channels.note_open(row, url, now)
    else:
        channels.note_end(row, url, end, now)
    asleep_until = row.snoozed_until if row.snoozed_until is not None and row.snoozed_until > now else None
    taken_back = alert_mails.cancel_waiting(merchant_id, alert_id, now)
    if row.acknowledged_at is not None:
        return
    heard = alert_mails.heard(merchant_id, alert_id)
    as_told = None if end is None else mailed_end(row, end, now)
    due = []
    for recipient in alert_mails.recipients(merchant_id):
        known = heard.get(recipient)
        if as_told is None:
            at = now + channels.TELL_AGAIN_AFTER if known is not None and known.state == "resolved" else now
            if asleep_until is not None:  # it is the reminder, too, which was taken back above
                due.append(Due(recipient, max(at, asleep_until), reminds=True))
            elif is_news(known, row.severity):
                due.append(Due(recipient, at))
            elif is_nobodys:
                due.append(Due(recipient, now + channels.TELL_AGAIN_AFTER, reminds=True))
        elif (known is not None and (known.state == "open" or channels.has_lost(as_told(recipient)))) or (
            known is None and (recipient, "open") in taken_back and asleep_until is None
        ):
            due.append(Due(recipient, now))
    alert_mails.insert_mails(merchant_id, alert_id, change_id, state, due)
