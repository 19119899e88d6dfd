"""Every text of an alert, in one place: whoever changes one reads them all, as a shop's manager would.

The first two sentences say what is lost or at risk, since when, and who must do what now; figures come after them. A kind
of alert adds its rows to ``TEXTS``: a name, what makes the finding, the title, the message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from tracklayer.domain.alert import AlertKind, Finding, Subject
from tracklayer.domain.delivery import DestinationState, DropReason
from tracklayer.domain.facts import mask_of
from tracklayer.domain.monitors import judge_destination, judge_merchant
from tracklayer.domain.monitors.causes import Cause
from tracklayer.domain.monitors.coverage import Cells, learn_name, tally
from tracklayer.domain.monitors.event_name_unknown import Fate, Spelling, judge_event_name_unknown
from tracklayer.domain.monitors.events_rejected import DoorMinute, DoorView, judge_events_rejected
from tracklayer.domain.monitors.learn import Rhythm, SuccessRate
from tracklayer.domain.monitors.likely_duplicates import Conversion, judge_likely_duplicates
from tracklayer.domain.monitors.match_quality_drop import NameView as QualityView
from tracklayer.domain.monitors.match_quality_drop import judge_match_quality_drop
from tracklayer.domain.monitors.queue_backlog import gather_backlogs
from tracklayer.domain.monitors.refusals import Unmappable
from tracklayer.domain.monitors.tracking_stopped import judge_name_stopped
from tracklayer.domain.monitors.value_lost import Measure, Sample, judge_value_lost
from tracklayer.domain.monitors.value_lost import Usual as UsualValue
from tracklayer.domain.monitors.views import DestinationView, MerchantView, NameView, Oldest, Span, Told
from tracklayer.domain.monitors.worth import Worth

NOW = datetime(2026, 5, 4, 14, 30, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DOWN, BACKLOG, DROP = AlertKind.PLATFORM_DOWN, AlertKind.QUEUE_BACKLOG, AlertKind.DELIVERY_RATE_DROP

T = TypeVar("T")
Text = tuple[str, Callable[[], Finding], str, str]  # name, what makes the finding, its title, its message


def minutes(*given: dict[str, int]) -> list[Span]:
    """Whole minutes, the last one ends where the running minute begins."""
    end = NOW.replace(second=0)
    return [
        Span(end - (len(given) - n) * MINUTE, end - (len(given) - n - 1) * MINUTE, **one) for n, one in enumerate(given)
    ]


SALES = Worth({"USD": Decimal("23398.2"), "EUR": Decimal(129)})
MANY_SALES = replace(SALES, is_all=False)  # only some of them were added up
META = DestinationView(
    "meta",
    "Meta",
    success=SuccessRate(0.97, 0.01, 100_000),
    waiting=1204,
    credential="access token",
)
NO_PAGE = Unmappable(
    DropReason.INVALID_FIELD, "event_source_url", "TikTok takes no web event without its page", 1.0, "order_17"
)
NOBODY = Unmappable(
    DropReason.MISSING_IDENTIFIERS,
    "user_data",
    "nobody to match: send an email or a phone",
    0.75,
    "order_18",
    "Purchase",
)
NO_CURRENCY = Unmappable(
    DropReason.INVALID_FIELD, "custom_data.currency", "Meta refuses a Purchase without currency", 0.25, "order_19"
)
TOO_OLD = Unmappable(DropReason.EVENT_TOO_OLD, "occurred_at", "older than the 7 days that Meta takes", 1.0, "order_20")
NO_TAG = Unmappable(
    DropReason.MISSING_IDENTIFIERS, "user_data.ga_client_id", "GA4 wants the client id of the site's tag", 1.0, "o_21"
)


def seen(view: DestinationView, *is_open: AlertKind) -> Callable[[], Finding]:
    def make() -> Finding:
        (finding,) = judge_destination(view, is_open, NOW)
        return finding

    return make


def held(reason: str, **changes: Any) -> Callable[[], Finding]:
    view = replace(
        META,
        state=DestinationState.HELD,
        state_reason=reason,
        failing_since=NOW - 20 * MINUTE,
        resume_at=NOW + 2 * MINUTE,
        oldest=Oldest(NOW - 20 * MINUTE, NOW + timedelta(hours=23, minutes=40)),
    )
    return seen(replace(view, **changes))


def refused_all(**changes: Any) -> Callable[[], Finding]:
    view = replace(META, recent=minutes({"acknowledged": 60}, *[{"refused": 60}] * 3))
    return seen(replace(view, **changes))


def unmappable_all(*grounds: Unmappable, **changes: Any) -> Callable[[], Finding]:
    view = DestinationView("tiktok", "TikTok", recent=minutes(*[{"unmappable": 660}] * 3), unmappable=grounds)
    return seen(replace(view, **changes))


def dropped(counts: dict[str, int], **changes: Any) -> Callable[[], Finding]:
    view = replace(META, recent=minutes({"acknowledged": 58, "refused": 2}, *[counts] * 12), waiting=0)
    return seen(replace(view, **changes))


def a_queue(*spans: dict[str, int], **changes: Any) -> DestinationView:
    due = NOW - timedelta(seconds=125)
    recent = minutes(*(spans or [{"routed": 600, "acknowledged": 100, "finished": 100}] * 2))
    view = replace(META, recent=recent, oldest=Oldest(due, due + timedelta(hours=24)))
    return replace(view, **changes)


def queued(*spans: dict[str, int], **changes: Any) -> Callable[[], Finding]:
    return seen(a_queue(*spans, **changes))


def gathered(*views: DestinationView) -> Callable[[], Finding]:
    return lambda: gather_backlogs([(view, seen(view)()) for view in views], NOW)


# Of what was lost at each of two platforms.
AGED_OUT: dict[str, Any] = {
    "lost_count": {DropReason.WINDOW_EXPIRED: 30},
    "lost_worth": {DropReason.WINDOW_EXPIRED: Worth({"EUR": Decimal(3000)})},
}
TIKTOK_QUEUE: dict[str, Any] = {"platform": "tiktok", "name": "TikTok", "waiting": 7}


def there(found: T | None) -> T:
    assert found is not None
    return found


def rejected(
    name: str | None, *refused: tuple[str, str, str, int], accepted: int = 10, **worth: Worth
) -> Callable[[], Finding]:
    """Ten minutes in each of which so many were refused of each (name, code, field), sales of ``worth`` among them."""

    def make() -> Finding:
        start = NOW.replace(second=0) - 10 * MINUTE
        causes = {each[:3]: each[3] for each in refused}
        names = {"PageView": accepted}
        doors = [DoorMinute(start + n * MINUTE, accepted, names, causes, worth=worth) for n in range(10)]
        found = judge_events_rejected(DoorView(doors, SuccessRate(0.99, 0.01, 100_000)), NOW)
        return there(found[Subject(AlertKind.EVENTS_REJECTED, event_name=name)])

    return make


def copied() -> Finding:
    """Forty purchases, of which twelve came again under another id."""
    sold = [
        Conversion(f"order_{n}", "Purchase", NOW - MINUTE, {"email": f"person_{n}"}, Decimal("129.99"), "USD")
        for n in range(40)
    ]
    again = [replace(one, event_id=f"{one.event_id}-web", occurred_at=NOW - MINUTE / 2) for one in sold[:12]]
    return there(judge_likely_duplicates("Purchase", [*sold, *again], is_open=False, since=NOW - 10 * MINUTE))


def silent(name: str | None) -> Finding:
    rhythm, last = Rhythm((30.0,) * 168, 6.9, 2.0), NOW - 40 * MINUTE
    if name is not None:
        return there(judge_name_stopped(NameView(name, rhythm, last, others=[(20.0, 20)]), is_open=False, now=NOW))
    (found,) = judge_merchant(MerchantView(rhythm, last), NOW)
    return found


def carried(shares: dict[str, float], denied: int = 0) -> Finding:
    """Half an hour of ten purchases a minute, which used to carry both in nine of ten."""
    usual = {"email": 0.9, "phone": 0.9}
    baseline = there(learn_name({NOW - n * timedelta(hours=1): ten(usual, 1) for n in range(1, 28 * 24)}))
    bins = [(NOW.replace(second=0) - n * MINUTE, ten(shares, denied)) for n in range(30, 0, -1)]
    users = {"email": ("Meta", "TikTok"), "phone": ("Meta",)}
    return there(judge_match_quality_drop(QualityView("Purchase", baseline, bins, users), NOW))


def ten(shares: dict[str, float], denied: int) -> Cells:
    cells: Cells = {}
    for n in range(10):
        tally(
            cells, "website", "shop.example.com", mask_of([key for key, share in shares.items() if n < 10 * share]), 1
        )
    if denied:
        tally(cells, "website", "shop.example.com", mask_of(["consent_denied"]), denied)
    return cells


def worthless() -> Finding:
    start, web = NOW.replace(second=0) - 30 * MINUTE, ("website", "shop.example.com")
    samples = [Sample(start + n * MINUTE, web, 2, 2 if n < 20 else 0) for n in range(30)]
    measure = Measure("value", samples, UsualValue({web: 0.99}, 0.99, 0.004))
    return there(judge_value_lost("Purchase", [measure], is_open=False, told_until=None, now=NOW))


MISSPELT = Spelling("snapchat", "Snapchat", "purchase", "Purchase", Fate.FILTERED, 60, NOW - 50 * MINUTE, NOW)
_LOOK = NOW - timedelta(seconds=2)
RUNNING = [Span(*span, acknowledged=15, refused=15) for span in ((NOW.replace(second=0), _LOOK), (_LOOK, NOW))]
FLAKY = minutes({"acknowledged": 60}, *[{"acknowledged": 30, "unreachable": 30}] * 3)


TEXTS: list[Text] = [
    (
        "credentials refused",
        held("credentials refused: 401 Error validating access token: Session has expired"),
        "Meta refuses your access token: set a new one now",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in"
            " 23 h 40 min. Whoever manages your account at Meta must make a new access token and set it on the "
            "destination: all that waits goes out at once. The reason: credentials refused: 401 Error validating "
            "access token: Session has expired. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "several credentials refused",
        held("credentials refused: 401 Unauthorized", credential="credentials", waiting=1),
        "Meta refuses your credentials: set new ones now",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1 delivery waits, and the first is lost in 23 h"
            " 40 min. Whoever manages your account at Meta must make new credentials and set them on the "
            "destination: all that waits goes out at once. The reason: credentials refused: 401 Unauthorized. The"
            " next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "errors of the platform",
        held("unreachable: 500 the platform gave no reason"),
        "Meta answers with errors (500)",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in "
            "23 h 40 min. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and all that waits "
            "goes out once it answers as usual. The reason: unreachable: 500 the platform gave no reason. The "
            "next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "time-outs",
        held("unanswered: no answer in time"),
        "Meta is too slow: requests time out",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in "
            "23 h 40 min. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and all that waits "
            "goes out once it answers as usual. What was sent may have arrived all the same: no delivery is sent "
            "more than five times, each try is in its log, and platforms that recognise copies count it once. The "
            "reason: unanswered: no answer in time. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "no answer",
        held("unanswered: the connection was cut before the answer"),
        "Meta does not answer",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in "
            "23 h 40 min. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and all that waits "
            "goes out once it answers as usual. What was sent may have arrived all the same: no delivery is sent "
            "more than five times, each try is in its log, and platforms that recognise copies count it once. The "
            "reason: unanswered: the connection was cut before the answer. The next try is at 2026-05-04 14:32 "
            "UTC."
        ),
    ),
    (
        "out of reach",
        held("unreachable: the connection failed", waiting=0, oldest=None),
        "Meta cannot be reached",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: nothing waits for it at the moment. You need do "
            "nothing: TrackLayer keeps trying, and what comes from then on goes out once it answers. Where no other "
            "platform can be reached either, TrackLayer's operator must look at its network. The reason: "
            "unreachable: the connection failed. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "something in between",
        held("intercepted: 302 something in between answered, such as a proxy"),
        "Something between TrackLayer and Meta answers in its place",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in "
            "23 h 40 min. TrackLayer's operator must let its requests through: a proxy, a firewall or a sign-in "
            "page stands in the way. You need do nothing: TrackLayer keeps trying, and all that waits goes out "
            "once it gets through. The reason: intercepted: 302 something in between answered, such as a proxy. "
            "The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "nothing confirmed",
        held("unreachable: 200 the answer does not confirm every event"),
        "Meta answers, but confirms no event",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in "
            "23 h 40 min. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and all that waits "
            "goes out once it answers as usual. The reason: unreachable: 200 the answer does not confirm every "
            "event. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "a fault of ours",
        held("TrackLayer cannot open its settings with the secret keys it has"),
        "TrackLayer cannot send to Meta",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the first is lost in"
            " 23 h 40 min. TrackLayer's operator must mend that, its log says more. You need do nothing. The "
            "reason: TrackLayer cannot open its settings with the secret keys it has. The next try is at "
            "2026-05-04 14:32 UTC."
        ),
    ),
    (
        "losses of an outage",
        held(
            "unreachable: 503 down for maintenance", oldest=Oldest(NOW - timedelta(hours=25), NOW - timedelta(hours=1))
        ),
        "Meta answers with errors (503)",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, and the oldest are being "
            "lost for their age. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and all that "
            "waits goes out once it answers as usual. The reason: unreachable: 503 down for maintenance. The next "
            "try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "errors now and then",
        seen(replace(META, recent=FLAKY, last_error="500 an unknown error")),
        "Meta answers with errors (500)",
        (
            "Meta has accepted 90 of the last 180 attempts, since 2026-05-04 14:27 UTC: 1,204 deliveries wait. "
            "You need do nothing, the fault is Meta's: TrackLayer keeps trying, and all that waits goes out once "
            "it answers as usual. What Meta said last: 500 an unknown error. Usually 3% of its events fail at "
            "first."
        ),
    ),
    (
        "errors now and then, still",
        seen(
            replace(
                META,
                recent=minutes({"acknowledged": 60}, {"unknown": 50}, {"acknowledged": 40}),
                outage=Told(NOW - 4 * MINUTE, None),
                last_error="no answer in time",
            ),
            DOWN,
        ),
        "Meta is too slow: requests time out",
        (
            "Meta has accepted 40 of the last 90 attempts, since 2026-05-04 14:28 UTC: 1,204 deliveries wait. It "
            "has taken events again since 2026-05-04 14:29 UTC: you need do nothing, and this ends once that has "
            "lasted. What Meta said last: no answer in time. Usually 3% of its events fail at first."
        ),
    ),
    (
        "every event refused",
        refused_all(last_error="400 Invalid fbc format", last_failed="order_16"),
        "Meta refuses every event",
        (
            "Meta has accepted none of the last 180 events, since 2026-05-04 14:27 UTC: each event is lost to it "
            "after five attempts. Whoever last changed your shop's events or this destination's settings must "
            "mend that now; then redeliver what was dropped. What Meta said last: 400 Invalid fbc format. Event "
            "`order_16` is an example. Usually 3% of its events fail at first."
        ),
    ),
    (
        "every event refused at a new destination",
        refused_all(success=None),
        "Meta refuses every event",
        (
            "Meta has accepted none of the last 180 events, since 2026-05-04 14:27 UTC: each event is lost to it "
            "after five attempts. Whoever last changed your shop's events or this destination's settings must "
            "mend that now; then redeliver what was dropped."
        ),
    ),
    (
        "nearly every event refused",
        seen(
            replace(
                META, recent=minutes(*[{"acknowledged": 2, "refused": 58}] * 3), last_error="400 Invalid fbc format"
            ),
            DOWN,
        ),
        "Meta refuses nearly every event",
        (
            "Meta has accepted 6 of the last 180 attempts, since 2026-05-04 14:27 UTC: each event is lost to it "
            "after five attempts. Whoever last changed your shop's events or this destination's settings must "
            "mend that now; then redeliver what was dropped. What Meta said last: 400 Invalid fbc format. Usually"
            " 3% of its events fail at first."
        ),
    ),
    (
        "none can be sent",
        unmappable_all(NO_PAGE),
        "TikTok can be sent none of your events",
        (
            "TikTok can be sent none of your events: 100% lack the page's URL (`eventSourceUrl`). Since "
            "2026-05-04 14:27 UTC 1,980 events are lost to it: whoever sends your shop's events must add it now, "
            "event `order_17` is an example. Or set a default page on the destination, and redeliver what was "
            'dropped. The deliveries say: "TikTok takes no web event without its page".'
        ),
    ),
    (
        "none can be sent, for several reasons",
        unmappable_all(NOBODY, NO_CURRENCY, platform="meta", name="Meta"),
        "Meta can be sent none of your events",
        (
            "Meta can be sent none of your events: 75% lack everything by which it could match a person "
            "(`userData`). Since 2026-05-04 14:27 UTC 1,980 events are lost to it: whoever sends your shop's "
            "events must add at least one identifier now, event `order_18` (Purchase) is an example. No "
            "redelivery helps these; events that never have one can be left out, by name, in the destination's "
            'settings. The deliveries say: "nobody to match: send an email or a phone". Besides: 25% have no '
            "currency (`customData.currency`)."
        ),
    ),
    (
        "none can be sent, of old events",
        unmappable_all(TOO_OLD, platform="meta", name="Meta"),
        "Meta can be sent none of your events",
        (
            "Meta can be sent none of your events: 100% happened longer ago than it takes (`occurredAt`). Since "
            "2026-05-04 14:27 UTC 1,980 events are lost to it: whoever sends your shop's events must send them "
            "soon after they happen, event `order_20` is an example. No redelivery helps these. The deliveries "
            'say: "older than the 7 days that Meta takes".'
        ),
    ),
    (
        "none can be sent, without the tag",
        unmappable_all(NO_TAG, platform="ga4", name="GA4"),
        "GA4 can be sent none of your events",
        (
            "GA4 can be sent none of your events: 100% lack the visitor's id that Google's tag or app kit gives "
            "(`userData.gaClientId`). Since 2026-05-04 14:27 UTC 1,980 events are lost to it: whoever sends your "
            "shop's events must add it now, event `o_21` is an example. No redelivery helps these; events that "
            "never have one can be left out, by name, in the destination's settings. The deliveries say: \"GA4 "
            "wants the client id of the site's tag\"."
        ),
    ),
    (
        "none can be sent, nobody knows why",
        unmappable_all(),
        "TikTok can be sent none of your events",
        (
            "TikTok can be sent none of your events: its rules refuse them. Since 2026-05-04 14:27 UTC 1,980 "
            "events are lost to it: whoever sends your shop's events must add now what they lack: the dropped "
            "deliveries say what each of them lacks."
        ),
    ),
    (
        "none can be sent, and the rest is refused",
        unmappable_all(
            NOBODY,
            NO_CURRENCY,
            platform="meta",
            name="Meta",
            recent=minutes(*[{"unmappable": 48, "refused": 12}] * 3),
            last_error="400 Invalid fbc format",
        ),
        "Meta can be sent none of your events",
        (
            "Meta can be sent none of your events: 60% lack everything by which it could match a person "
            "(`userData`). Since 2026-05-04 14:27 UTC 144 events are lost to it: whoever sends your shop's events "
            "must add at least one identifier now, event `order_18` (Purchase) is an example. No redelivery helps "
            "these; events that never have one can be left out, by name, in the destination's settings. The "
            'deliveries say: "nobody to match: send an email or a phone". Besides: 20% have no currency '
            "(`customData.currency`). Of what was sent, Meta refused 36. What Meta said last: 400 Invalid fbc "
            "format."
        ),
    ),
    (
        "every event refused, and some beforehand",
        refused_all(
            recent=minutes(*[{"unmappable": 12, "refused": 48}] * 3),
            last_error="400 Invalid fbc format",
            last_failed="order_16",
            unmappable=[NOBODY],
        ),
        "Meta refuses every event",
        (
            "Meta has accepted none of the last 180 events, since 2026-05-04 14:27 UTC: each event is lost to it "
            "after five attempts. Whoever last changed your shop's events or this destination's settings must "
            "mend that now; then redeliver what was dropped. What Meta said last: 400 Invalid fbc format. Event "
            "`order_16` is an example. 36 more could not even be sent: the dropped deliveries say what each of "
            "them lacks. Usually 3% of its events fail at first."
        ),
    ),
    (
        "half cannot be sent",
        dropped({"acknowledged": 30, "unmappable": 30}, platform="tiktok", name="TikTok", unmappable=[NO_PAGE]),
        "TikTok can be sent only 50% of your events instead of 97%",
        (
            "30 of 60 events since 2026-05-04 14:29 UTC cannot be sent to TikTok and are lost to it: 50% lack the"
            " page's URL (`eventSourceUrl`). Whoever sends your shop's events must add it now, event `order_17` "
            "is an example. Or set a default page on the destination, and redeliver what was dropped. The "
            'deliveries say: "TikTok takes no web event without its page". 50% were accepted at the first '
            "attempt in 65 s; 97% is usual."
        ),
    ),
    (
        "half cannot be sent, to a new destination",
        dropped({"acknowledged": 30, "unmappable": 30}, success=None, unmappable=[NOBODY, NO_CURRENCY]),
        "Meta can be sent only 50% of your events",
        (
            "60 of 120 events since 2026-05-04 14:28 UTC cannot be sent to Meta and are lost to it: 37.5% lack "
            "everything by which it could match a person (`userData`). Whoever sends your shop's events must add "
            "at least one identifier now, event `order_18` (Purchase) is an example. No redelivery helps these; "
            "events that never have one can be left out, by name, in the destination's settings. The deliveries "
            'say: "nobody to match: send an email or a phone". Besides: 12.5% have no currency '
            "(`customData.currency`). 50% were accepted at the first attempt in 2 min; the least to be expected"
            " of a destination is 80%."
        ),
    ),
    (
        "half cannot be sent, and the like of it from another source can",
        dropped(
            {"acknowledged": 30, "unmappable": 30},
            unmappable=[replace(NOBODY, share=1.0, action_source="phone_call", sent_from=["app", "website"])],
        ),
        "Meta can be sent only 50% of your events instead of 97%",
        (
            "30 of 60 events since 2026-05-04 14:29 UTC cannot be sent to Meta and are lost to it: 50% lack "
            "everything by which it could match a person (`userData`). Whoever sends your shop's events must add "
            "at least one identifier now, event `order_18` (Purchase) is an example. No redelivery helps these; "
            "Purchase events of action source `app` and `website` do go out, so look at what sends those of "
            '`phone_call`. The deliveries say: "nobody to match: send an email or a phone". 50% were accepted '
            "at the first attempt in 65 s; 97% is usual."
        ),
    ),
    (
        "half cannot be sent, and the like of it from the same source can",
        dropped(
            {"acknowledged": 30, "unmappable": 30},
            unmappable=[replace(NOBODY, share=1.0, action_source="website", sent_from=["website"])],
        ),
        "Meta can be sent only 50% of your events instead of 97%",
        (
            "30 of 60 events since 2026-05-04 14:29 UTC cannot be sent to Meta and are lost to it: 50% lack "
            "everything by which it could match a person (`userData`). Whoever sends your shop's events must add "
            "at least one identifier now, event `order_18` (Purchase) is an example. No redelivery helps these; "
            'other Purchase events do go out: what sends these differs. The deliveries say: "nobody to match: '
            'send an email or a phone". 50% were accepted at the first attempt in 65 s; 97% is usual.'
        ),
    ),
    (
        "half is refused, within the running minute",
        dropped({"acknowledged": 30}, recent=[*minutes({"acknowledged": 58}), *RUNNING], last_error="400 Invalid fbc"),
        "Meta accepts 50% instead of 97%",
        (
            "Meta did not accept 30 of 60 events since 2026-05-04 14:30 UTC, and each of them is lost to it "
            "unless a later attempt succeeds. Whoever last changed your shop's events or this destination's "
            "settings must look at what changed then: the deliveries that failed say what is wrong with each. "
            "What Meta said last: 400 Invalid fbc. 50% were accepted at the first attempt within this minute; "
            "97% is usual."
        ),
    ),
    (
        "half is refused",
        dropped({"acknowledged": 30, "refused": 30}, last_error="400 Invalid fbc format", last_failed="order_16"),
        "Meta accepts 50% instead of 97%",
        (
            "Meta did not accept 30 of 60 events since 2026-05-04 14:29 UTC, and each of them is lost to it "
            "unless a later attempt succeeds. Whoever last changed your shop's events or this destination's "
            "settings must look at what changed then: the deliveries that failed say what is wrong with each, "
            "event `order_16` for one. What Meta said last: 400 Invalid fbc format. 50% were accepted at the "
            "first attempt in 65 s; 97% is usual."
        ),
    ),
    (
        "half is refused, of a new destination",
        dropped({"acknowledged": 20, "refused": 36, "unmappable": 4}, success=None),
        "Meta accepts 33.3% of your events",
        (
            "Meta did not accept 36 of 60 events since 2026-05-04 14:29 UTC, and each of them is lost to it "
            "unless a later attempt succeeds. Whoever last changed your shop's events or this destination's "
            "settings must look at what changed then: the deliveries that failed say what is wrong with each. 4 "
            "more could not even be sent: the dropped deliveries say what each of them lacks. 33.3% were accepted"
            " at the first attempt in 65 s; the least to be expected of a destination is 80%."
        ),
    ),
    (
        "some is not answered",
        dropped(
            {"acknowledged": 41, "unreachable": 9},
            success=SuccessRate(0.97, 0.005, 100_000),
            last_error="500 an unknown error",
        ),
        "Meta answers with errors (500): 83.3% get through instead of 97%",
        (
            "110 of 660 events since 2026-05-04 14:17 UTC got no answer of Meta that counts at the first attempt: "
            "they are sent again, up to five times in a day, and lost only if none gets through. You need do "
            "nothing, the fault is Meta's: TrackLayer keeps trying, and all that waits goes out once it answers "
            "as usual. What Meta said last: 500 an unknown error. 83.3% were accepted at the first attempt in 15 "
            "min; 97% is usual."
        ),
    ),
    (
        "too few workers",
        queued(),
        "1,204 deliveries to Meta wait: TrackLayer is too slow",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 min "
            "unless it goes out before. TrackLayer's operator must start more workers now, or check that "
            "the running ones work (`tracklayer doctor`). You need do nothing but tell them. The oldest is 2 min "
            "late; usually none is. 576 arrive and 96 leave a minute: it does not clear at this pace."
        ),
    ),
    (
        "too few workers, for several destinations",
        gathered(a_queue(), a_queue(**TIKTOK_QUEUE)),
        "1,211 deliveries to 2 platforms wait: TrackLayer is too slow",
        (
            "1,211 deliveries to 2 platforms wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 "
            "min unless it goes out before. TrackLayer's operator must start more workers now, or check that "
            "the running ones work (`tracklayer doctor`). You need do nothing but tell them. They are for Meta "
            "and TikTok. The oldest is 2 min late; usually none is."
        ),
    ),
    (
        "a rate limit",
        queued(*[{"routed": 600, "rate_limited": 50}] * 2, resume_at=NOW + 12 * MINUTE),
        "1,204 deliveries to Meta wait: Meta limits how fast it takes them",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 min "
            "unless it goes out before. You need do nothing now: TrackLayer sends as fast as Meta allows, and "
            "more workers do not help. If it comes again, whoever manages your account at Meta should ask for a "
            "higher limit, or fewer event names be sent. Meta put off 100 deliveries in 10 min. It asked to be "
            "left alone until 2026-05-04 14:42 UTC. The oldest is 2 min late; usually none is. 576 arrive and 0 "
            "leave a minute: it does not clear at this pace."
        ),
    ),
    (
        "a rate limit that comes again and again",
        queued(*[{"routed": 600, "rate_limited": 50, "acknowledged": 100, "finished": 100}] * 2),
        "1,204 deliveries to Meta wait: Meta limits how fast it takes them",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 min "
            "unless it goes out before. You need do nothing now: TrackLayer sends as fast as Meta allows, and "
            "more workers do not help. If it comes again, whoever manages your account at Meta should ask for a "
            "higher limit, or fewer event names be sent. Meta put off 100 deliveries in 10 min. The oldest is 2 "
            "min late; usually none is. 576 arrive and 96 leave a minute: it does not clear at this pace."
        ),
    ),
    (
        "slow answers",
        queued(answer_seconds=10.2),
        "1,204 deliveries to Meta wait: Meta answers slowly",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 min "
            "unless it goes out before. You need do nothing, the fault is Meta's: all that waits goes out, "
            "slowly. TrackLayer's operator can start more workers, so that more requests wait for an answer at "
            "once. Meta takes 10 s to answer a request. The oldest is 2 min late; usually none is. 576 arrive and"
            " 96 leave a minute: it does not clear at this pace."
        ),
    ),
    (
        "errors, and a queue",
        queued(
            *[{"routed": 600, "acknowledged": 85, "unreachable": 15, "finished": 85}] * 2,
            last_error="500 an unknown error",
        ),
        "1,204 deliveries to Meta wait: Meta answers with errors (500)",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 min "
            "unless it goes out before. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and "
            "all that waits goes out once it answers as usual. What Meta said last: 500 an unknown error. The "
            "oldest is 2 min late; usually none is. 576 arrive and 82 leave a minute: it does not clear at this "
            "pace."
        ),
    ),
    (
        "a paused destination",
        seen(
            replace(
                META, state=DestinationState.PAUSED, oldest=Oldest(NOW - timedelta(hours=21), NOW + timedelta(hours=3))
            )
        ),
        "Meta is paused, and its oldest deliveries near their end",
        (
            "1,204 deliveries to Meta wait since 2026-05-03 17:30 UTC because the destination is paused, and the "
            "first is lost in 3 h unless it goes out before. Whoever paused it must resume it now: then all of "
            "them are sent."
        ),
    ),
    (
        "a paused destination that loses",
        seen(
            replace(
                META, state=DestinationState.PAUSED, oldest=Oldest(NOW - timedelta(hours=25), NOW - timedelta(hours=1))
            )
        ),
        "Meta is paused, and deliveries are being lost",
        (
            "1,204 deliveries to Meta wait since 2026-05-03 13:30 UTC because the destination is paused, and the "
            "oldest are being lost for their age. Whoever paused it must resume it now: then all that are left are "
            "sent."
        ),
    ),
    (
        "money that waits",
        held("unreachable: 503 down for maintenance", waiting_worth=SALES),
        "Meta answers with errors (503)",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, worth 23,398.20 USD and "
            "129.00 EUR in sales, and the first is lost in 23 h 40 min. You need do nothing, the fault is Meta's: "
            "TrackLayer keeps trying, and all that waits goes out once it answers as usual. The reason: "
            "unreachable: 503 down for maintenance. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "money that waits, of which only some was added up",
        held("credentials refused: 401 Unauthorized", waiting_worth=MANY_SALES),
        "Meta refuses your access token: set a new one now",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, worth at least 23,398.20 "
            "USD and 129.00 EUR in sales, and the first is lost in 23 h 40 min. Whoever manages your account at "
            "Meta must make a new access token and set it on the destination: all that waits goes out at once. "
            "The reason: credentials refused: 401 Unauthorized. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "money that an outage has cost",
        held(
            "unreachable: 503 down for maintenance",
            waiting_worth=MANY_SALES,
            lost_worth={DropReason.WINDOW_EXPIRED: SALES},
            lost_count={DropReason.WINDOW_EXPIRED: 180},
            oldest=Oldest(NOW - timedelta(hours=25), NOW - timedelta(hours=1)),
        ),
        "Meta answers with errors (503)",
        (
            "Nothing has reached Meta since 2026-05-04 14:10 UTC: 1,204 deliveries wait, worth at least 23,398.20 "
            "USD and 129.00 EUR in sales, and the oldest are being lost for their age, so far 180 deliveries, worth "
            "23,398.20 USD and 129.00 EUR in sales. You need do nothing, the fault is Meta's: TrackLayer keeps trying, and "
            "all that waits goes out once it answers as usual. Then redeliver what was dropped. The reason: unreachable: 503 "
            "down for maintenance. The next try is at 2026-05-04 14:32 UTC."
        ),
    ),
    (
        "money of errors now and then",
        seen(replace(META, recent=FLAKY, last_error="500 an unknown error", waiting_worth=SALES)),
        "Meta answers with errors (500)",
        (
            "Meta has accepted 90 of the last 180 attempts, since 2026-05-04 14:27 UTC: 1,204 deliveries wait, "
            "worth 23,398.20 USD and 129.00 EUR in sales. You need do nothing, the fault is Meta's: TrackLayer "
            "keeps trying, and all that waits goes out once it answers as usual. What Meta said last: 500 an "
            "unknown error. Usually 3% of its events fail at first."
        ),
    ),
    (
        "money that is refused",
        refused_all(
            waiting_worth=SALES,
            failing_worth=Worth({"USD": Decimal(100)}),
            refused_worth=SALES,
        ),
        "Meta refuses every event",
        (
            "Meta has accepted none of the last 180 events, since 2026-05-04 14:27 UTC: each event is lost to it "
            "after five attempts, and sales worth 23,498.20 USD and 129.00 EUR are lost or about to be. Whoever "
            "last changed your shop's events or this destination's settings must mend that now; then redeliver "
            "what was dropped. Usually 3% of its events fail at first."
        ),
    ),
    (
        "money that cannot be sent",
        unmappable_all(NO_PAGE, lost_worth={DropReason.INVALID_FIELD: MANY_SALES}),
        "TikTok can be sent none of your events",
        (
            "TikTok can be sent none of your events: 100% lack the page's URL (`eventSourceUrl`). Since "
            "2026-05-04 14:27 UTC 1,980 events, worth at least 23,398.20 USD and 129.00 EUR in sales, are lost to "
            "it: whoever sends your shop's events must add it now, event `order_17` is an example. Or set a "
            'default page on the destination, and redeliver what was dropped. The deliveries say: "TikTok takes '
            'no web event without its page".'
        ),
    ),
    (
        "money of the half that cannot be sent",
        dropped(
            {"acknowledged": 30, "unmappable": 30}, unmappable=[NO_PAGE], lost_worth={DropReason.INVALID_FIELD: SALES}
        ),
        "Meta can be sent only 50% of your events instead of 97%",
        (
            "30 of 60 events since 2026-05-04 14:29 UTC cannot be sent to Meta and are lost to it, worth "
            "23,398.20 USD and 129.00 EUR in sales: 50% lack the page's URL (`eventSourceUrl`). Whoever sends "
            "your shop's events must add it now, event `order_17` is an example. Or set a default page on the "
            'destination, and redeliver what was dropped. The deliveries say: "TikTok takes no web event without '
            'its page". 50% were accepted at the first attempt in 65 s; 97% is usual.'
        ),
    ),
    (
        "money of the half that is refused",
        dropped(
            {"acknowledged": 30, "refused": 30},
            failing_worth=Worth({"USD": Decimal(100)}),
            refused_worth=SALES,
        ),
        "Meta accepts 50% instead of 97%",
        (
            "Meta did not accept 30 of 60 events since 2026-05-04 14:29 UTC, worth 23,498.20 USD and 129.00 EUR "
            "in sales, and each of them is lost to it unless a later attempt succeeds. Whoever last changed your "
            "shop's events or this destination's settings must look at what changed then: the deliveries that "
            "failed say what is wrong with each. 50% were accepted at the first attempt in 65 s; 97% is "
            "usual."
        ),
    ),
    (
        "money of some that is not answered",
        dropped(
            {"acknowledged": 41, "unreachable": 9},
            success=SuccessRate(0.97, 0.005, 100_000),
            last_error="500 an unknown error",
            failing_worth=SALES,
        ),
        "Meta answers with errors (500): 83.3% get through instead of 97%",
        (
            "110 of 660 events since 2026-05-04 14:17 UTC got no answer of Meta that counts at the first attempt: "
            "they are sent again, up to five times in a day, and lost only if none gets through; sales worth "
            "23,398.20 USD and 129.00 EUR wait for that. You need do nothing, the fault is Meta's: TrackLayer "
            "keeps trying, and all that waits goes out once it answers as usual. What Meta said last: 500 an "
            "unknown error. 83.3% were accepted at the first attempt in 15 min; 97% is usual."
        ),
    ),
    (
        "some is shut out",
        dropped(
            {"acknowledged": 41, "credentials_refused": 9},
            success=SuccessRate(0.97, 0.005, 100_000),
            last_error="401 Unauthorized",
        ),
        "Meta refuses your access token: set a new one now: 83.3% get through instead of 97%",
        (
            "110 of 660 events since 2026-05-04 14:17 UTC got no answer of Meta that counts at the first attempt: "
            "they are sent again, up to five times in a day, and lost only if none gets through. Whoever manages "
            "your account at Meta must make a new access token and set it on the destination: all that waits goes "
            "out at once. What Meta said last: 401 Unauthorized. 83.3% were accepted at the first attempt in 15 "
            "min; 97% is usual."
        ),
    ),
    (
        "money in a queue",
        queued(waiting_worth=MANY_SALES),
        "1,204 deliveries to Meta wait: TrackLayer is too slow",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, worth at least 23,398.20 USD and 129.00 "
            "EUR in sales, and the first is lost in 23 h 58 min unless it goes out before. TrackLayer's operator "
            "must start more workers now, or check that the running ones work (`tracklayer doctor`). You need "
            "do nothing but tell them. The oldest is 2 min late; usually none is. 576 arrive and 96 leave a "
            "minute: it does not clear at this pace."
        ),
    ),
    (
        "credentials refused, and a queue",
        queued(*[{"routed": 600, "acknowledged": 85, "credentials_refused": 15, "finished": 85}] * 2),
        "1,204 deliveries to Meta wait: Meta refuses your access token: set a new one now",
        (
            "1,204 deliveries to Meta wait since 2026-05-04 14:28 UTC, and the first is lost in 23 h 58 min "
            "unless it goes out before. Whoever manages your account at Meta must make a new access token and set "
            "it on the destination: all that waits goes out at once. The oldest is 2 min late; usually none is. "
            "576 arrive and 82 leave a minute: it does not clear at this pace."
        ),
    ),
    (
        "money in the queues of several destinations",
        gathered(
            a_queue(waiting_worth=MANY_SALES),
            a_queue(**TIKTOK_QUEUE, waiting_worth=Worth({"USD": Decimal(50), "EUR": Decimal(258)})),
        ),
        "1,211 deliveries to 2 platforms wait: TrackLayer is too slow",
        (
            "1,211 deliveries to 2 platforms wait since 2026-05-04 14:28 UTC, worth at least 23,398.20 USD and "
            "258.00 EUR in sales, and the first is lost in 23 h 58 min unless it goes out before. TrackLayer's "
            "operator must start more workers now, or check that the running ones work (`tracklayer doctor`). "
            "You need do nothing but tell them. They are for Meta and TikTok. The oldest is 2 min late; usually "
            "none is."
        ),
    ),
    (
        "losses in the queues of several destinations",
        gathered(a_queue(**AGED_OUT), a_queue(**TIKTOK_QUEUE, **AGED_OUT)),
        "1,211 deliveries to 2 platforms wait: TrackLayer is too slow",
        (
            "1,211 deliveries to 2 platforms wait since 2026-05-04 14:28 UTC, and at least 60 deliveries, worth at least "
            "3,000.00 EUR in sales, were lost for their age, and the next is lost in 23 h 58 min unless it goes out before. "
            "TrackLayer's operator must start more workers now, or check that the running ones work (`tracklayer doctor`). "
            "You need do nothing but tell them. Then redeliver what was dropped. They are for Meta and TikTok. The oldest is "
            "2 min late; usually none is."
        ),
    ),
    (
        "losses in the queue of one destination",
        queued(oldest=Oldest(NOW - timedelta(hours=24), NOW - MINUTE), **AGED_OUT),
        "1,204 deliveries to Meta wait: TrackLayer is too slow",
        (
            "1,204 deliveries to Meta wait since 2026-05-03 14:30 UTC, and the oldest are being lost for their age, so far 30 "
            "deliveries, worth 3,000.00 EUR in sales. TrackLayer's operator must start more workers now, or check that the "
            "running ones work (`tracklayer doctor`). You need do nothing but tell them. Then redeliver what was dropped. The "
            "oldest is 24 h late; usually none is. 576 arrive and 96 leave a minute: it does not clear at this pace."
        ),
    ),
    (
        "money at a paused destination",
        seen(
            replace(
                META,
                state=DestinationState.PAUSED,
                waiting_worth=SALES,
                oldest=Oldest(NOW - timedelta(hours=21), NOW + timedelta(hours=3)),
            )
        ),
        "Meta is paused, and its oldest deliveries near their end",
        (
            "1,204 deliveries to Meta wait since 2026-05-03 17:30 UTC because the destination is paused, worth "
            "23,398.20 USD and 129.00 EUR in sales, and the first is lost in 3 h unless it goes out before. "
            "Whoever paused it must resume it now: then all of them are sent."
        ),
    ),
    (
        "events of one name are refused at the door",
        rejected("Purchase", ("Purchase", "INVALID_CURRENCY", "custom_data.currency", 8)),
        "All Purchase events are refused",
        (
            "16 of 16 Purchase events since 2026-05-04 14:28 UTC were refused for wrong fields, and are reported "
            "to no platform. Whoever maintains the shop must correct `customData.currency` (INVALID_CURRENCY) "
            "now, and then send these events again. `customData.currency`: Send a code such as `USD`. Which events they "
            "are, and what a field takes, says the answer to each: `eventId` beside `userErrors`. Refused for: `customData.currency` "
            "(INVALID_CURRENCY) 16: The currency is no ISO 4217 code."
        ),
    ),
    (
        "purchases are refused at the door that say what they are worth",
        rejected(
            "Purchase",
            ("Purchase", "INVALID_TIME", "occurred_at", 8),
            Purchase=Worth({"USD": Decimal("1039.92"), "EUR": Decimal(85)}),
            Subscribe=Worth({"USD": Decimal(10)}),
        ),
        "All Purchase events are refused",
        (
            "16 of 16 Purchase events since 2026-05-04 14:28 UTC were refused for wrong fields, worth at least "
            "2,079.84 USD and 170.00 EUR in sales, and are reported to no platform. Whoever maintains the shop must "
            "correct `occurredAt` (INVALID_TIME) now, and then send these events again. `occurredAt`: Send RFC 3339 or ISO 8601, such as "
            "`2026-04-23T14:12:33.000Z`. Which events they are, and what a field takes, says the answer to each: `eventId` "
            "beside `userErrors`. Refused for: `occurredAt` (INVALID_TIME) 16: The time is no date with time "
            "and offset."
        ),
    ),
    (
        "events of several names are refused at the door",
        rejected(
            None,
            ("Purchase", "INVALID_CURRENCY", "custom_data.currency", 8),
            ("PageView", "INVALID_TIME", "occurred_at", 4),
        ),
        "54.5% of events are refused",
        (
            "12 of 22 events since 2026-05-04 14:29 UTC were refused for wrong fields, and are reported to no "
            "platform. Whoever maintains the shop must correct `customData.currency` (INVALID_CURRENCY) and "
            "`occurredAt` (INVALID_TIME) now, and then send these events again. `customData.currency`: Send a code such as `USD`. "
            "`occurredAt`: Send RFC 3339 or ISO 8601, such as `2026-04-23T14:12:33.000Z`. Which events they are, and what a field takes, "
            "says the answer to each: `eventId` beside `userErrors`. Refused for: `customData.currency` (INVALID_CURRENCY) 8: The currency is no ISO 4217 code; `occurredAt` (INVALID_TIME) 4: The time is "
            "no date with time and offset. By name: Purchase 8, PageView 4. Usually 1% are refused."
        ),
    ),
    (
        "conversions that come twice",
        copied,
        "12 of 52 Purchase events are probably copies",
        (
            "12 of the 52 newest Purchase events since 2026-05-04 14:29 UTC are probably copies of 12 conversions "
            "under other event ids, and every platform counts them again: 1,559.88 USD too much. Whoever sends "
            "the shop's events must give each order one event id, its own, in every retry and from browser and "
            "server alike. Compare `order_0` and `order_0-web`, for one."
        ),
    ),
    (
        "nothing comes any more",
        lambda: silent(None),
        "No event for 40 min",
        (
            "About 40 events are missing: none has arrived for 40 min, and whatever happened in the shop since "
            "2026-05-04 13:50 UTC is reported to no platform. Whoever maintains the shop must look now at whether "
            "the shop still sends: its last deployment, its API key, its connection to TrackLayer. The chance of "
            "none while all is well is one in 496,194,760."
        ),
    ),
    (
        "nothing of one name comes any more",
        lambda: silent("Purchase"),
        "No Purchase event for 40 min",
        (
            "About 40 Purchase events are missing: none has arrived for 40 min, while others do, and what happened "
            "since 2026-05-04 13:50 UTC is reported as Purchase to no platform. Whoever maintains the shop must look "
            "now at what sends Purchase: the last change of the pages and the code where it arises, and of the tag "
            "that sends it. The chance of none while all is well is one in 496,194,760."
        ),
    ),
    (
        "values that are lost",
        worthless,
        "Purchase events bring no value since 14:20 UTC",
        (
            "20 of 20 Purchase events since 2026-05-04 14:20 UTC came without a value: campaigns that bid by "
            "value take these for worth nothing, and spend less on such people. Whoever maintains the checkout on "
            "shop.example.com must look now at what changed then, and have it send `customData.value` as a number "
            "above 0. Usually 99% of them bring one."
        ),
    ),
    (
        "a name that is misspelt",
        lambda: there(judge_event_name_unknown(MISSPELT, is_open=False)),
        "Snapchat gets no purchase: it is called Purchase there",
        (
            "Snapchat got none of the events named purchase of the last hour, 60 since 2026-05-04 13:40 UTC at least: "
            "it takes Purchase, and not this spelling. Whoever maintains the shop must have it send Purchase now. "
            "Under the right name came 0 events in the same hour; what was left out is stored here."
        ),
    ),
    (
        "identifiers that are lost",
        lambda: carried({"email": 0.1, "phone": 0.1}),
        "Purchase: only 10% carry an email instead of 90%, and 1 more identifier fell",
        (
            "Since 2026-05-04 14:00 UTC only 10% of your Purchase events carry the buyer's email, where 90% did "
            "before: about 240 of 300 events lost it. Meta and TikTok match far fewer people to ads while that lasts; "
            "whoever changed the checkout, or what sends these events, must pass `email` and `phone` again. Also "
            "`phone` 10% instead of 90%. Only events of people who consent are counted; the chance of such a fall "
            "without a cause is below one in ten million."
        ),
    ),
    (
        "nobody consents any more",
        lambda: carried({"email": 0.9, "phone": 0.9}, denied=300),
        "Purchase: 96.8% of people refuse consent instead of 9.1%",
        (
            "Since 2026-05-04 14:00 UTC 96.8% of the people behind your Purchase events refuse consent, where 9.1% "
            "did before. Nothing of theirs may be used to match ads, so that hardly a conversion counts while that "
            "lasts; whoever changed the consent banner must look at whether it still lets people agree, and whether "
            "`consent` is passed on as they chose."
        ),
    ),
]


@pytest.mark.parametrize(("make", "title", "message"), [pytest.param(*row[1:], id=row[0]) for row in TEXTS])
def test_an_alert_says_it_as_whoever_must_act_would_want_it(
    make: Callable[[], Finding], title: str, message: str
) -> None:
    finding = make()
    assert (finding.title, finding.message) == (title, message)


def test_every_cause_has_its_text() -> None:
    assert {make().details.get("cause") for _, make, _, _ in TEXTS} - {None} == set(Cause)


def test_every_kind_has_its_text() -> None:
    assert {make().kind for _, make, _, _ in TEXTS} == set(AlertKind)


def test_no_two_causes_share_a_title() -> None:
    causes: dict[str, set[object]] = {}
    for _, make, _, _ in TEXTS:
        finding = make()
        causes.setdefault(finding.title, set()).add((finding.kind, finding.details.get("cause")))
    assert [title for title, found in causes.items() if len(found) > 1] == []
