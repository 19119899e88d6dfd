"""The key that signs receipts is changed by a command: what was signed before still verifies, what comes is signed anew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tests.factories import Merchant, draft
from tracklayer.cli import erase, main
from tracklayer.cli.erase import _finish
from tracklayer.cli.process import CommandError
from tracklayer.db import connection
from tracklayer.db.connection import execute, in_transaction, rows
from tracklayer.db.erasures import GIVEN_UP, ErasureRow
from tracklayer.runtime import Runtime
from tracklayer.services.erase import Begun, Request, erase_person
from tracklayer.services.ingest import ingest_events

Say = Callable[..., str]


@pytest.fixture
def say(environ: str, runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> Say:
    def typed(*words: str) -> str:
        assert main(list(words)) == 0, capsys.readouterr().err
        connection.connect(environ)  # a command closes what it opened
        return capsys.readouterr().out

    return typed


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is printed meanwhile goes to a full disk."""
    with open("/dev/full", "w") as disk, monkeypatch.context() as patched:  # noqa: PTH123 - as a shell would
        patched.setattr(sys, "stdout", disk)
        yield


def test_after_a_key_leaked_receipts_are_signed_with_another_and_old_ones_still_verify(
    say: Say,
    environ: str,
    runtime: Runtime,
    merchant: Merchant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    signed_by = []
    rotated = []
    for number, email in enumerate(("jane@example.com", "john@example.com")):
        ingest_events(runtime, merchant.holder, [draft(f"order_{number}", user_data={"email": email})])
        words = ["erase", "--merchant", str(merchant.merchant_id), "--email", email, "--json"]
        if number:
            with full(monkeypatch):
                assert main(words) == 1
            assert "; erasure 2 is done, and its receipt is kept: the dashboard's Settings " in capsys.readouterr().err
            connection.connect(environ)
            with in_transaction():
                receipt = rows("SELECT receipt FROM erasures WHERE erasure_id = 2")[0][0]
        else:
            receipt = say(*words)
        (tmp_path / f"{number}.json").write_text(receipt)
        signed_by.append(orjson.loads(receipt)["signature"]["key_id"])
        rotated.append(orjson.loads(say("erase", "rotate-key", "--json"))["key_id"])
    assert signed_by[1] == rotated[0] != signed_by[0]
    assert rotated[1] not in signed_by
    for number in range(2):
        assert "is as it was signed" in say("erase", "verify", str(tmp_path / f"{number}.json"))
    with in_transaction():
        kept = dict(rows("SELECT key_id, length(sealed) > 0 FROM erasure_keys WHERE purpose = 'sign'"))
    assert kept == {signed_by[0]: False, signed_by[1]: False, rotated[1]: True}, "of a retired key nothing can sign"
    told = say("erase", "rotate-key")
    assert told.startswith("Receipts are signed with key ")


def begun(runtime: Runtime, merchant: Merchant) -> ErasureRow:
    found = erase_person(runtime, merchant.merchant_id, Request(email="jane@example.com"), {}, suppress=False)
    assert isinstance(found, Begun)
    return found.erasure


def test_an_erasure_that_was_given_up_ends_the_command_with_what_to_do(runtime: Runtime, merchant: Merchant) -> None:
    row = begun(runtime, merchant)
    with in_transaction():
        execute("UPDATE erasures SET stage = %s, finished_at = now()", (GIVEN_UP,))
    with pytest.raises(CommandError, match="erase this person anew"):
        _finish(runtime, row)


def test_a_step_that_fails_is_told_once_a_failure(
    runtime: Runtime, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = begun(runtime, merchant)
    states = [(1, False), (1, False), (2, False), (0, True)]

    def step(_: Runtime) -> None:
        failures, is_done = states.pop(0)
        with in_transaction():
            execute("UPDATE erasures SET failures = %s, finished_at = CASE WHEN %s THEN now() END", (failures, is_done))

    monkeypatch.setattr(erase, "continue_erasures", step)
    monkeypatch.setattr(erase, "PAUSE_SECONDS", 0)
    assert _finish(runtime, row).finished_at is not None
    told = [line.partition("failed, ")[2][:8] for line in capsys.readouterr().err.splitlines()]
    assert told == ["1 in a r", "2 in a r"]
