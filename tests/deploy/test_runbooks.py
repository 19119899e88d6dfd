"""What the runbooks ask PostgreSQL, it answers, on the tables that there are."""

from __future__ import annotations

import re
from contextlib import closing

import psycopg2
import pytest

from tests.deploy.kit import DEPLOY, PROGRAM, ROOT
from tracklayer import __version__

TEXT = (ROOT / "tracklayer" / "web" / "docs" / "runbooks.md").read_text()
STATEMENTS = [
    statement.strip()
    for block in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
    for statement in re.split(r";[^\n]*\n", block)
    if statement.strip()
]
ASKS = [statement for statement in STATEMENTS if statement.startswith("SELECT")]


@pytest.mark.parametrize("statement", ASKS)
def test_what_is_asked_is_answered(database: str, statement: str) -> None:
    with closing(psycopg2.connect(database)) as own, own.cursor() as cursor:
        cursor.execute(statement)
        cursor.fetchall()


def test_a_shell_that_did_as_it_is_told_finds_the_command_and_each_version() -> None:
    first = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)[0]
    assert f"\nPATH={PROGRAM.removesuffix('/tracklayer')}:$PATH\n" in first
    folder = PROGRAM.removesuffix("/bin/tracklayer")
    # What the units start is what the upgrade has changed.
    assert f"ln -sfn tracklayer-0.2.0 {folder}\n" in TEXT
    assert f"\nln -sfn tracklayer-{__version__} {folder}\n" in (DEPLOY / "README.md").read_text()


def test_nothing_else_is_told_but_settings() -> None:
    assert len(ASKS) == 7
    others = [statement for statement in STATEMENTS if statement not in ASKS]
    assert all(re.match(r"ALTER SYSTEM SET (archive_|synchronous_standby_names)", statement) for statement in others)
