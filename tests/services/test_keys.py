"""A process finds out at its start that it lacks the key, says so in one sentence, and keeps the log readable."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.factories import API_KEY_SECRET, META, PURCHASE, Api, Merchant, draft, new_merchant
from tests.servers import free_port, running, wait_until
from tests.services.test_erase import begin, finish, state
from tests.web.test_collector import SHOP, Page, settings_of
from tracklayer.app import build_app
from tracklayer.cli import main
from tracklayer.cli.process import runtime_of
from tracklayer.clock import FrozenClock
from tracklayer.db import connection
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.domain.values import write_instant
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services.channels import ChannelSet, Wish, set_channel
from tracklayer.services.deliver import deliver_due
from tracklayer.services.destinations import Changed, remove_destination, set_destination
from tracklayer.services.erase import Request
from tracklayer.services.erase_jobs import continue_erasures
from tracklayer.services.ingest import ingest_events
from tracklayer.services.keys import KeyLostError, Keys, confirm_keys, forget_lost_keys, has_a_key, look_at_keys
from tracklayer.services.merchants import create_merchant
from tracklayer.services.privacy import purge_secrets
from tracklayer.services.receipts import published_keys, read_keys, verify_receipt
from tracklayer.settings import load_settings

OTHER = "another secret key of the operator of forty"
SAID = "TRACKLAYER_SECRET_KEY lacks a key that sealed what is in this database: put that key back"


def noted() -> int:
    with in_transaction():
        return int(rows("SELECT count(*) FROM sealing_keys")[0][0])


def test_the_first_start_notes_the_key_and_another_one_is_refused(runtime: Runtime, clock: FrozenClock) -> None:
    confirm_keys(Sealer([API_KEY_SECRET]), clock.now())
    confirm_keys(Sealer([API_KEY_SECRET]), clock.now())
    assert noted() == 1
    with pytest.raises(KeyLostError, match=SAID) as raised:
        confirm_keys(Sealer([OTHER]), clock.now())
    assert OTHER not in str(raised.value)
    assert noted() == 1


def test_keys_rotate_without_a_process_being_refused(runtime: Runtime, clock: FrozenClock) -> None:
    old, both = Sealer([API_KEY_SECRET]), Sealer([OTHER, API_KEY_SECRET])
    confirm_keys(old, clock.now())
    confirm_keys(both, clock.now())
    assert noted() == 2
    assert has_a_key(old)  # those that were not restarted yet go on
    confirm_keys(Sealer([OTHER]), clock.now())  # nothing that is needed was sealed with the old one


def test_a_key_that_is_taken_away_while_destinations_need_it_is_refused(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    confirm_keys(Sealer([API_KEY_SECRET]), clock.now())
    confirm_keys(Sealer([OTHER, API_KEY_SECRET]), clock.now())
    with pytest.raises(KeyLostError, match=r"\(1 destination cannot deliver without it\)"):
        confirm_keys(Sealer([OTHER]), clock.now())
    remove_destination(runtime, merchant.merchant_id, "meta")
    confirm_keys(Sealer([OTHER]), clock.now())


def test_a_key_that_an_alert_channel_needs_is_not_taken_away(runtime: Runtime, clock: FrozenClock) -> None:
    confirm_keys(runtime.sealer, clock.now())
    shop = new_merchant(runtime, meta=False)
    made = set_channel(runtime, shop.merchant_id, Wish(kind="webhook", url="https://8.8.8.8/hook"))
    assert isinstance(made, ChannelSet)
    confirm_keys(Sealer([OTHER, API_KEY_SECRET]), clock.now())
    with pytest.raises(KeyLostError, match=SAID):
        confirm_keys(Sealer([OTHER]), clock.now())
    runtime.sealer = Sealer([OTHER, API_KEY_SECRET])
    set_channel(runtime, shop.merchant_id, Wish(made.row.channel_id, topics=["*"]))  # sealed anew
    confirm_keys(Sealer([OTHER]), clock.now())


def test_the_key_of_receipts_does_not_keep_an_old_key_in_use(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    """Though nobody signs anything meanwhile: each process that starts seals it anew."""
    confirm_keys(runtime.sealer, clock.now())
    done = finish(runtime, clock, begin(runtime, merchant, Request(email="jane@shop.example")))
    remove_destination(runtime, merchant.merchant_id, "meta")
    confirm_keys(Sealer([OTHER, API_KEY_SECRET]), clock.now())
    runtime.sealer, runtime.marker = Sealer([OTHER]), None
    confirm_keys(runtime.sealer, clock.now())
    assert look_at_keys(runtime.sealer) == Keys(frozenset(), any_fits=True, closed=0)
    again = finish(runtime, clock, begin(runtime, merchant, Request(email="john@shop.example")))
    keys = read_keys(json.dumps(published_keys(runtime)).encode())
    assert len(keys) == 1
    for receipt in (done.receipt, again.receipt):
        assert verify_receipt((receipt or "").encode(), keys)


def test_who_lacks_a_key_is_told_what_needs_it(runtime: Runtime, merchant: Merchant, clock: FrozenClock) -> None:
    confirm_keys(runtime.sealer, clock.now())
    finish(runtime, clock, begin(runtime, merchant, Request(email="jane@shop.example")))
    remove_destination(runtime, merchant.merchant_id, "meta")
    made = set_channel(runtime, merchant.merchant_id, Wish(kind="webhook", url="https://8.8.8.8/hook"))
    assert isinstance(made, ChannelSet)
    what = "the addresses of alert channels, the key of erasures' hashes, the key that signs receipts"
    with pytest.raises(KeyLostError, match=rf"\(it seals {what}\)"):
        confirm_keys(Sealer([OTHER]), clock.now())
    begin(runtime, merchant, Request(email="john@shop.example"))
    confirm_keys(Sealer([OTHER, API_KEY_SECRET]), clock.now())
    what = "the addresses of alert channels, erasures that go on"
    with pytest.raises(KeyLostError, match=rf"\(it seals {what}\)"):
        confirm_keys(Sealer([OTHER]), clock.now())


def test_of_a_database_from_before_its_destinations_say_which_key_it_needs(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    assert noted() == 0
    with pytest.raises(KeyLostError, match=SAID):
        confirm_keys(Sealer([OTHER]), clock.now())
    assert noted() == 0
    confirm_keys(Sealer([OTHER, API_KEY_SECRET]), clock.now())
    assert noted() == 2


def test_a_key_that_is_lost_for_good_is_forgotten_and_secrets_are_given_anew(
    runtime: Runtime, merchant: Merchant, clock: FrozenClock
) -> None:
    confirm_keys(Sealer([API_KEY_SECRET]), clock.now())
    found = Sealer([OTHER])
    assert forget_lost_keys(found, clock.now()) == 1
    confirm_keys(found, clock.now())
    assert look_at_keys(found) == Keys(frozenset(), any_fits=True, closed=1)
    runtime.sealer = found
    missing = set_destination(runtime, merchant.merchant_id, "meta", {"default_country": "US"})
    assert isinstance(missing, list)
    assert [(problem.field, problem.code) for problem in missing] == [(("settings", "access_token"), "REQUIRED")]
    assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", META), Changed)
    assert look_at_keys(found) == Keys(frozenset(), any_fits=True, closed=0)


def test_the_secrets_of_a_removed_destination_are_forgotten(runtime: Runtime, merchant: Merchant) -> None:
    def kept() -> bytes:
        with in_transaction():
            return bytes(rows("SELECT secrets FROM destinations")[0][0])

    assert len(kept()) > 0
    remove_destination(runtime, merchant.merchant_id, "meta")
    assert kept() == b""
    assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", META, None), Changed)
    assert len(kept()) > 0
    with in_transaction():  # as a version did that kept them
        execute("UPDATE destinations SET removed_at = created_at")
    assert purge_secrets() == 1
    assert kept() == b""


def test_what_cannot_be_opened_is_told_once_and_burns_no_attempt(
    runtime: Runtime, merchant: Merchant, worker: int, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    ingest_events(runtime, merchant.holder, [draft(f"order_{n}") for n in range(5)])
    runtime.sealer = Sealer([OTHER])
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
        said = (
            f"merchant {merchant.merchant_id}, meta: cannot be opened with the keys in TRACKLAYER_SECRET_KEY, so nothing is "
            "delivered: put back the key that sealed it"
        )
        assert [record.message for record in caplog.records] == [said]
        clock.move(timedelta(minutes=1))
        assert deliver_due(runtime, worker, merchant.merchant_id, "meta") is False
        assert [record.message for record in caplog.records] == [said] * 2
    with in_transaction():
        assert rows("SELECT DISTINCT status, attempts FROM deliveries") == [("queued", 0)]
        assert rows("SELECT count(*) FROM claims") == [(0,)]


async def test_readyz_says_that_the_key_is_lost(api: Api, runtime: Runtime, clock: FrozenClock) -> None:
    forget_lost_keys(Sealer([OTHER]), clock.now())  # as if somebody had exchanged the database
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert answer.json()["why"].startswith(SAID)


@pytest.mark.parametrize("what", ["the keys of erasures", "a destination"])
async def test_readyz_says_that_a_key_was_put_into_use_that_this_process_lacks(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, what: str
) -> None:
    """Some of what is sealed it opens: its own key is older than the one of others."""
    confirm_keys(runtime.sealer, clock.now())
    own, runtime.sealer = runtime.sealer, Sealer([OTHER, API_KEY_SECRET])
    confirm_keys(runtime.sealer, clock.now())
    if what == "a destination":
        assert isinstance(set_destination(runtime, merchant.merchant_id, "meta", META), Changed)
    else:
        finish(runtime, clock, begin(runtime, merchant, Request(email="jane@shop.example")))
    runtime.sealer = own
    assert has_a_key(own) is (what == "a destination")
    answer = await api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["why"].startswith(SAID)


async def test_a_process_that_lacks_the_key_of_marks_sends_callers_elsewhere(
    api: Api, runtime: Runtime, merchant: Merchant, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    confirm_keys(runtime.sealer, clock.now())
    own, runtime.sealer = runtime.sealer, Sealer([OTHER, API_KEY_SECRET])
    confirm_keys(runtime.sealer, clock.now())
    row = begin(runtime, merchant, Request(email="jane@shop.example"))
    public_key = settings_of(runtime, merchant, enabled=True, origins=[SHOP])
    runtime.sealer, runtime.marker = own, None
    with caplog.at_level(logging.ERROR):
        answer = await api.post("{ merchant { name } }")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        (told,) = answer.json()["errors"]
        assert told["extensions"] == {"code": "KEY_AWAY", "retryable": True}
        answer = await Page(build_app(runtime, lambda wake: None), public_key).call()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert caplog.records == []
    # Those who have the key go on with what this one cannot, seconds later.
    clock.move(timedelta(seconds=20))
    continue_erasures(runtime, 0.1)
    assert state(row).finished_at is None
    runtime.sealer, runtime.marker = Sealer([OTHER, API_KEY_SECRET]), None
    clock.move(timedelta(seconds=1))
    continue_erasures(runtime, 0.1)
    assert state(row).stage == "settling"
    for _ in range(60):
        for sealer in (own, Sealer([OTHER, API_KEY_SECRET])):
            runtime.sealer, runtime.marker = sealer, None
            continue_erasures(runtime, 0.1)
            clock.move(timedelta(seconds=1))
    assert state(row).receipt is not None
    assert (await api("{ merchant { name } }"))["merchant"]["name"]


@pytest.fixture
def environ(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    return database


def test_commands_and_doctor_refuse_the_wrong_key_and_migrate_forgets_a_lost_one(
    environ: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["merchant", "create", "--name", "Shop"]) == 0
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", OTHER)
    capsys.readouterr()
    assert main(["merchant", "create", "--name", "Shop"]) == 1
    assert capsys.readouterr().err.startswith(f"tracklayer: {SAID}")
    assert main(["doctor"]) == 1
    assert f"FAULT  secret key  {SAID}" in capsys.readouterr().out
    assert main(["migrate", "--forget-lost-keys"]) == 0
    assert main(["merchant", "create", "--name", "Shop"]) == 0


def test_after_a_lost_key_was_forgotten_each_command_says_what_is_left_to_do(
    environ: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runtime: Runtime,
    merchant: Merchant,
    clock: FrozenClock,
    tmp_path: Path,
) -> None:
    with_name = PURCHASE["user_data"] | {"first_name": "Jane"}
    clock.move(datetime.now(UTC) - clock.now())  # the command goes by the machine's
    when = write_instant(clock.now() - timedelta(minutes=5))
    ingest_events(runtime, merchant.holder, [draft("named", occurred_at=when, user_data=with_name)])
    confirm_keys(runtime.sealer, runtime.clock.now())
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", OTHER)
    assert main(["migrate", "--forget-lost-keys"]) == 0
    capsys.readouterr()
    main(["doctor"])
    left = (
        "FAULT  secret key  a key that was given up sealed the secrets of 1 destination, and nothing is sent to it: set its secrets "
        "anew, or, should the key be found, put it into TRACKLAYER_SECRET_KEY behind the newest\n"
    )
    said = capsys.readouterr().out
    assert left in said
    assert "forget-lost-keys" not in said
    settings = tmp_path / "meta.json"
    settings.write_text(json.dumps(META))
    command = [
        sys.executable,
        "-m",
        "tracklayer",
        "destination",
        "set",
        "--platform",
        "meta",
        "--settings",
        str(settings),
    ]
    told = subprocess.run(command, capture_output=True, check=True, text=True)
    assert told.stderr == ""
    assert "sealed with a key that TrackLayer lacks" in told.stdout
    main(["doctor"])
    assert "ok     secret key  opens what is sealed in this database" in capsys.readouterr().out


def test_every_role_refuses_to_start_with_the_wrong_key(environ: str, redis_url: str, clock: FrozenClock) -> None:
    confirm_keys(Sealer([API_KEY_SECRET]), clock.now())
    told = {"TRACKLAYER_DATABASE_URL": environ, "TRACKLAYER_REDIS_URL": redis_url, "TRACKLAYER_SECRET_KEY": OTHER}
    for role in (["api", "--port", str(free_port())], ["worker"], ["scheduler"]):
        with running(*role, environ=told) as process:
            wait_until(lambda: not process.is_running(), f"{role[0]} to end")
            assert process.stop() == 1
            assert process.output().startswith(f"tracklayer: {SAID}")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tl"))
    folder.chmod(0o755)
    yield folder / "data"
    connection.disconnect()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_embedded_database_gets_no_new_key_where_the_old_one_is_gone(data_dir: Path) -> None:
    settings = replace(load_settings({}), data_dir=data_dir)
    with runtime_of(settings, apply_migrations=True) as made:
        assert isinstance(create_merchant(made, "Shop"), tuple)
    kept = data_dir / "secret_key"
    key = kept.read_text()
    kept.unlink()
    with (
        pytest.raises(KeyLostError, match=r"secret_key is gone.* restore the file from a backup"),
        runtime_of(settings),
    ):
        pass
    assert not kept.exists()
    kept.write_text("a wrong key of the data directory, forty characters\n")
    said = "the file secret_key in TRACKLAYER_DATA_DIR is not the key that sealed what is in this database: restore the file"
    with pytest.raises(KeyLostError, match=said), runtime_of(settings):
        pass
    kept.write_text(key)
    with runtime_of(settings) as made:
        new_merchant(made)


@pytest.mark.parametrize(
    "spoilt", [None, b"", b" \n", b"\xff\xfe\x00", b"another key of forty characters, at least so"]
)
def test_however_the_file_of_the_key_was_lost_the_same_ways_out_are_said_and_work(
    data_dir: Path, spoilt: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKLAYER_DATA_DIR", str(data_dir))
    monkeypatch.delenv("TRACKLAYER_DATABASE_URL", raising=False)
    monkeypatch.delenv("TRACKLAYER_SECRET_KEY", raising=False)
    settings = replace(load_settings({}), data_dir=data_dir)
    with runtime_of(settings, apply_migrations=True):
        kept = data_dir / "secret_key"
    kept.unlink()
    if spoilt is not None:
        kept.write_bytes(spoilt)
    says = (
        r"secret_key .*: restore the file from a backup, or set TRACKLAYER_SECRET_KEY to the key that it held; if it is lost "
        r"for good, run `tracklayer migrate --forget-lost-keys`"
    )
    with pytest.raises(KeyLostError, match=says), runtime_of(settings):
        pass
    assert main(["migrate", "--forget-lost-keys"]) == 0
    with runtime_of(settings) as made:
        new_merchant(made)
