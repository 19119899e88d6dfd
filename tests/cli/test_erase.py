"""The key that signs receipts is changed by a command: what was signed before still verifies, what comes is signed anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.factories import Merchant, draft
from tracklayer.cli import main
from tracklayer.db import connection
from tracklayer.db.connection import in_transaction, rows
from tracklayer.runtime import Runtime
from tracklayer.services.ingest import ingest_events

Say = Callable[..., str]


@pytest.fixture
def say(environ: str, runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> Say:
    def typed(*words: str) -> str:
        assert main(list(words)) == 0, capsys.readouterr().err
        connection.connect(environ)  # a command closes what it opened
        return capsys.readouterr().out

    return typed


def test_after_a_key_leaked_receipts_are_signed_with_another_and_old_ones_still_verify(
    say: Say, runtime: Runtime, merchant: Merchant, tmp_path: Path
) -> None:
    signed_by = []
    rotated = []
    for number, email in enumerate(("jane@example.com", "john@example.com")):
        ingest_events(runtime, merchant.holder, [draft(f"order_{number}", user_data={"email": email})])
        receipt = say("erase", "--merchant", str(merchant.merchant_id), "--email", email, "--json")
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
