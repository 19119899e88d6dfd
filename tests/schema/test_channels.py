"""Channels, snoozing and notes through the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.datastructures import Secret

from tests.factories import Api, new_merchant
from tests.posting import post_due
from tests.receiver import Receiver
from tests.services.test_alert import Monitor
from tracklayer.clock import FrozenClock
from tracklayer.db.channels import MAX_CHANNELS
from tracklayer.db.connection import in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services.merchants import create_api_key

CHANNEL = "channel { id kind url topics minSeverity lastError createdAt } secret userErrors { field code message }"
SET = f"mutation($input: SetAlertChannelInput!) {{ setAlertChannel(input: $input) {{ {CHANNEL} }} }}"
TEST = f"mutation($id: ID!) {{ testAlertChannel(id: $id) {{ {CHANNEL} }} }}"
REMOVE = f"mutation($id: ID!) {{ removeAlertChannel(id: $id) {{ {CHANNEL} }} }}"
LIST = "{ merchant { alertChannels { id kind url topics minSeverity lastError } } }"
NODE = "query($id: ID!) { node(id: $id) { id ... on AlertChannel { url topics } } }"
ALERT = "alert { note snoozedUntil acknowledgedAt } userErrors { field code message }"
SNOOZE = f"mutation($id: ID!, $until: DateTime) {{ snoozeAlert(id: $id, until: $until) {{ {ALERT} }} }}"
NOTE = f"mutation($id: ID!, $note: String) {{ acknowledgeAlert(id: $id, note: $note) {{ {ALERT} }} }}"
ALERT_ID = "WyJBbGVydCIsMSwxXQ"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def private(runtime: Runtime) -> None:
    runtime.settings = replace(runtime.settings, allow_private_webhooks=True)


async def set_channel(api: Api, **given: Any) -> Any:
    return (await api(SET, input=given))["setAlertChannel"]


def fields(answer: Any) -> list[tuple[Any, str]]:
    return [(error["field"], error["code"]) for error in answer["userErrors"]]


@pytest.mark.usefixtures("private")
async def test_a_channel_is_created_changed_and_removed(api: Api, receiver: Receiver) -> None:
    made = await set_channel(api, kind="WEBHOOK", url=f"{receiver.url}/canary")
    channel_id = made["channel"].pop("id")
    assert made["channel"] == {
        "kind": "WEBHOOK",
        "url": f"http://127.0.0.1:{receiver.port}/••••",
        "topics": ["*"],
        "minSeverity": "WARNING",
        "lastError": None,
        "createdAt": "2026-11-20T15:00:00.000Z",
    }
    assert made["secret"].startswith("whsec_")
    assert made["userErrors"] == []
    changed = await set_channel(api, id=channel_id, topics=["platform_down", "*"], minSeverity="CRITICAL")
    assert (changed["channel"]["topics"], changed["channel"]["minSeverity"]) == (["platform_down", "*"], "CRITICAL")
    assert changed["secret"] is None
    rotated = await set_channel(api, id=channel_id, rotateSecret=True)
    assert rotated["secret"] not in (None, made["secret"])
    (listed,) = (await api(LIST))["merchant"]["alertChannels"]
    assert (listed["id"], listed["minSeverity"]) == (channel_id, "CRITICAL")
    assert (await api(NODE, id=channel_id))["node"]["topics"] == ["platform_down", "*"]
    removed = (await api(REMOVE, id=channel_id))["removeAlertChannel"]
    assert (removed["channel"]["id"], removed["userErrors"]) == (channel_id, [])
    assert (await api(LIST))["merchant"]["alertChannels"] == []
    assert (await api(NODE, id=channel_id))["node"] is None
    for answer in (await api(REMOVE, id=channel_id), await api(TEST, id=channel_id)):
        (found,) = answer.values()
        assert fields(found) == [(["id"], "NOT_FOUND")]
    assert fields(await set_channel(api, id=channel_id, topics=["*"])) == [(["id"], "NOT_FOUND")]


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, [(["kind"], "REQUIRED"), (["url"], "REQUIRED")]),
        ({"url": None}, [(["url"], "REQUIRED")]),
        ({"topics": ["*", "platform_dawn"]}, [(["topics", "1"], "INVALID_VALUE")]),
        ({"topics": []}, [(["topics"], "REQUIRED")]),
        ({"url": "ftp://8.8.8.8/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "hooks.example.com"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://user:password@8.8.8.8/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://8.8.8.8:99999/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://8.8.8.8:0/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://8.8.8.8/a b"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://8.8.8.8/\r\nx: y"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://8.8.8.8/" + "a" * 2000}, [(["url"], "TOO_LONG")]),
        ({"url": "https://xn--a/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://xn--ls8h.invalid/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://bücher.example/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "https://no-such-host.invalid/"}, [(["url"], "INVALID_VALUE")]),
        ({"url": "http://127.0.0.1:9/"}, [(["url"], "PRIVATE_ADDRESS")]),
        ({"url": "http://169.254.169.254/latest/"}, [(["url"], "PRIVATE_ADDRESS")]),
        ({"url": "http://[::ffff:10.0.0.1]/"}, [(["url"], "PRIVATE_ADDRESS")]),
        ({"kind": "SLACK", "rotateSecret": True}, [(["rotateSecret"], "INVALID_VALUE")]),
    ],
)
async def test_what_is_wrong_with_a_channel_is_said_with_its_field(
    api: Api, runtime: Runtime, given: dict[str, Any], errors: list[Any]
) -> None:
    runtime.settings = replace(runtime.settings, sandbox_url=None)
    whole = {"kind": "WEBHOOK", "url": "https://8.8.8.8/hook", **given} if given else {}
    answer = await set_channel(api, **whole)
    assert answer["channel"] is None
    assert answer["secret"] is None
    assert fields(answer) == errors
    assert (await api(LIST))["merchant"]["alertChannels"] == []


@pytest.mark.parametrize(
    ("host", "is_taken"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("[fd00::1]", False),
    ],
)
async def test_in_a_trial_a_channel_may_lead_to_this_machine_and_to_nothing_else_inside(
    api: Api, runtime: Runtime, receiver: Receiver, host: str, is_taken: bool
) -> None:
    answer = await set_channel(api, kind="WEBHOOK", url=f"http://{host}:{receiver.port}/")
    assert fields(answer) == ([] if is_taken else [(["url"], "PRIVATE_ADDRESS")])
    if host == "127.0.0.1":
        tested = (await api(TEST, id=answer["channel"]["id"]))["testAlertChannel"]
        assert (fields(tested), len(receiver.got)) == ([], 1)
        runtime.settings = replace(runtime.settings, sandbox_url=None)  # the trial is over
        tested = (await api(TEST, id=answer["channel"]["id"]))["testAlertChannel"]
        assert (fields(tested), len(receiver.got)) == ([(["id"], "NOT_TAKEN")], 1)


async def test_an_error_says_what_to_do_and_quotes_nothing(api: Api, runtime: Runtime) -> None:
    runtime.settings = replace(runtime.settings, sandbox_url=None)
    answer = await set_channel(api, kind="WEBHOOK", url="http://127.0.0.1:9/canary", topics=["platform_dawn"])
    said = [error["message"] for error in answer["userErrors"]]
    assert said[0] == "There is no such topic. Did you mean platform_down?"
    assert "TRACKLAYER_ALLOW_PRIVATE_WEBHOOKS" in said[1]
    assert "canary" not in str(said)


async def test_a_channel_keeps_its_kind(api: Api) -> None:
    made = await set_channel(api, kind="SLACK", url="https://8.8.8.8/hook")
    assert made["secret"] is None
    changed = await set_channel(api, id=made["channel"]["id"], kind="WEBHOOK")
    assert fields(changed) == [(["kind"], "INVALID_VALUE")]


async def test_a_merchant_has_so_many_channels_at_most(api: Api) -> None:
    for _ in range(MAX_CHANNELS):
        assert fields(await set_channel(api, kind="SLACK", url="https://8.8.8.8/hook")) == []
    assert fields(await set_channel(api, kind="SLACK", url="https://8.8.8.8/hook")) == [(None, "TOO_LARGE")]
    assert len((await api(LIST))["merchant"]["alertChannels"]) == MAX_CHANNELS


async def test_nobody_sees_or_changes_anothers_channel(api: Api, runtime: Runtime) -> None:
    made = await set_channel(api, kind="SLACK", url="https://8.8.8.8/hook")
    theirs = made["channel"]["id"]
    other = new_merchant(runtime, name="Other")
    stranger = Api(api.client, other.key)
    assert (await stranger(NODE, id=theirs))["node"] is None
    assert (await stranger(LIST))["merchant"]["alertChannels"] == []
    assert fields(await set_channel(stranger, id=theirs, topics=["*"])) == [(["id"], "NOT_FOUND")]
    assert fields((await stranger(REMOVE, id=theirs))["removeAlertChannel"]) == [(["id"], "NOT_FOUND")]
    assert fields((await stranger(TEST, id=theirs))["testAlertChannel"]) == [(["id"], "NOT_FOUND")]
    reader = create_api_key(runtime, 1, "reader", ["read"])
    assert isinstance(reader, tuple)
    answer = (await api.post(REMOVE, {"id": theirs}, key=reader[1])).json()
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert len((await api(LIST))["merchant"]["alertChannels"]) == 1


@pytest.mark.usefixtures("private")
async def test_a_test_message_goes_out_now_and_the_answer_says_what_became_of_it(
    api: Api, receiver: Receiver, runtime: Runtime
) -> None:
    made = await set_channel(api, kind="WEBHOOK", url=receiver.url)
    channel_id = made["channel"]["id"]
    receiver.plan = [503]
    failed = (await api(TEST, id=channel_id))["testAlertChannel"]
    assert failed["channel"]["lastError"] == "It answered 503."
    assert failed["userErrors"] == [{"field": ["id"], "code": "NOT_TAKEN", "message": "It answered 503."}]
    fine = (await api(TEST, id=channel_id))["testAlertChannel"]
    assert (fine["channel"]["lastError"], fine["userErrors"], fine["secret"]) == (None, [], None)
    first, second = receiver.got
    assert second.json["type"] == "test"
    assert first.json["id"] != second.json["id"]
    assert second.headers["webhook-id"] == second.json["id"]
    with in_transaction():
        assert rows("SELECT count(*) FROM channel_messages") == [(0,)]


@pytest.mark.usefixtures("private")
async def test_a_test_that_is_taken_sends_what_waits(
    api: Api, receiver: Receiver, runtime: Runtime, merchant: Any, clock: FrozenClock
) -> None:
    made = await set_channel(api, kind="WEBHOOK", url=receiver.url)
    receiver.plan = [500]
    Monitor(runtime, merchant, clock).finds()
    post_due(runtime)
    assert post_due(runtime) == 0
    await api(TEST, id=made["channel"]["id"])
    assert post_due(runtime) == 1
    assert [got.json["type"] for got in receiver.got] == ["alert.opened", "test", "alert.opened"]


@pytest.mark.usefixtures("private")
async def test_another_address_gets_what_waits_at_once(
    api: Api, receiver: Receiver, runtime: Runtime, merchant: Any, clock: FrozenClock
) -> None:
    receiver.otherwise = 500
    made = await set_channel(api, kind="WEBHOOK", url=receiver.url)
    Monitor(runtime, merchant, clock).finds()
    post_due(runtime)
    assert post_due(runtime) == 0
    with Receiver() as better:
        await set_channel(api, id=made["channel"]["id"], url=better.url)
        assert post_due(runtime) == 1
        assert [got.json["type"] for got in better.got] == ["alert.opened"]


async def test_a_note_is_kept_and_shown(api: Api, runtime: Runtime, merchant: Any, clock: FrozenClock) -> None:
    Monitor(runtime, merchant, clock).finds()

    async def note(text: str | None) -> Any:
        return (await api(NOTE, id=ALERT_ID, note=text))["acknowledgeAlert"]

    assert (await note("We are on it."))["alert"]["note"] == "We are on it."
    assert (await note(None))["alert"]["note"] == "We are on it."
    assert fields(await note("x" * 1001)) == [(["note"], "TOO_LONG")]
    assert fields(await note("nul\x00")) == [(["note"], "INVALID_CHARACTER")]
    assert (await note("x" * 1000))["alert"]["note"] == "x" * 1000
    assert (await note(""))["alert"]["note"] is None


async def test_an_alert_is_snoozed_until_an_instant_that_lies_ahead(
    api: Api, runtime: Runtime, merchant: Any, clock: FrozenClock
) -> None:
    Monitor(runtime, merchant, clock).finds()

    async def snooze(until: str | None, alert_id: str = ALERT_ID) -> Any:
        return (await api(SNOOZE, id=alert_id, until=until))["snoozeAlert"]

    assert (await snooze("2026-11-20T23:00:00Z"))["alert"]["snoozedUntil"] == "2026-11-20T23:00:00.000Z"
    for wrong in ("2026-11-20T15:00:00Z", "2026-11-19T15:00:00Z", "2027-02-18T15:00:01Z"):
        answer = await snooze(wrong)
        assert fields(answer) == [(["until"], "INVALID_VALUE")]
    assert (await snooze("2027-02-18T15:00:00Z"))["alert"]["snoozedUntil"] == "2027-02-18T15:00:00.000Z"
    assert (await snooze(None))["alert"]["snoozedUntil"] is None
    assert fields(await snooze(None, "nonsense")) == [(["id"], "NOT_FOUND")]
    other = Api(api.client, new_merchant(runtime, name="Other").key)
    theirs = (await other(SNOOZE, id=ALERT_ID, until="2026-11-20T23:00:00Z"))["snoozeAlert"]
    assert fields(theirs) == [(["id"], "NOT_FOUND")]


UNTOLD = "{ merchant { critical: alertsUntold warnings: alertsUntold(severity: WARNING) advice { code sentence nextStep since details } } }"


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("emails", "has_mail_server", "channel", "critical", "warnings"),
    [
        pytest.param([], True, None, 9, 9, id="nothing is set"),
        pytest.param(["it@shop.example.com"], True, None, 0, 0, id="an address"),
        pytest.param(["it@shop.example.com"], False, None, 9, 9, id="an address and no mail server"),
        pytest.param([], True, {"topics": ["*"]}, 0, 0, id="a channel of all alerts"),
        pytest.param([], True, {"topics": ["*"], "minSeverity": "CRITICAL"}, 0, 9, id="a channel of critical ones"),
        pytest.param([], True, {"topics": ["redelivery.finished"]}, 9, 9, id="a channel of no alert"),
        pytest.param([], True, {"topics": ["value_lost", "delivery.dropped"]}, 8, 8, id="a channel of one kind"),
        pytest.param([], True, {"topics": ["platform_down"]}, 8, 8, id="a channel of the kind that is open"),
    ],
)
async def test_an_alert_that_nobody_is_told_of_is_told_as_advice(
    api: Api,
    runtime: Runtime,
    merchant: Any,
    clock: FrozenClock,
    receiver: Receiver,
    emails: list[str],
    has_mail_server: bool,
    channel: dict[str, Any] | None,
    critical: int,
    warnings: int,
) -> None:
    smtp_url = Secret("smtp://127.0.0.1:9") if has_mail_server else None
    runtime.settings = replace(runtime.settings, smtp_url=smtp_url)
    await api(
        "mutation($to: [String!]) { updateMerchant(input: {alertEmails: $to}) { userErrors { code } } }", to=emails
    )
    if channel is not None:
        assert fields(await set_channel(api, kind="WEBHOOK", url=receiver.url, **channel)) == []
    found = (await api(UNTOLD))["merchant"]
    assert (len(found["critical"]), len(found["warnings"]), found["advice"]) == (critical, warnings, [])
    opened = clock.now()
    Monitor(runtime, merchant, clock).finds()
    clock.move(timedelta(minutes=1))
    advice = (await api(UNTOLD))["merchant"]["advice"]
    if "PLATFORM_DOWN" not in found["critical"]:
        assert advice == []
        return
    (told,) = advice
    assert (told["code"], told["details"]) == ("ALERTS_UNTOLD", {"alerts": 1})
    assert told["since"] == opened.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert ("TRACKLAYER_SMTP_URL" in told["nextStep"]) == (bool(emails) and not has_mail_server)
    snoozed = (await api(SNOOZE, id=ALERT_ID, until="2026-11-20T16:00:00Z"))["snoozeAlert"]
    assert snoozed["userErrors"] == []
    assert (await api(UNTOLD))["merchant"]["advice"] == []
    clock.move(timedelta(hours=2))
    assert len((await api(UNTOLD))["merchant"]["advice"]) == 1
    await api(NOTE, id=ALERT_ID, note="We look after it.")
    assert (await api(UNTOLD))["merchant"]["advice"] == []
