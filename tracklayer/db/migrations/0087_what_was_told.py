"""What each e-mail and each of the operator's messages told, so that what became graver since is told again."""

from __future__ import annotations

from typing import Any

SQL = """
-- Of an opening: the alert's when the mail was written. Null: it was not, or by an older version.
ALTER TABLE alert_mails ADD COLUMN severity text;
-- It tells again what its recipient knows: a snooze is over, or another cause needs somebody.
ALTER TABLE alert_mails ADD COLUMN reminds boolean NOT NULL DEFAULT false;
-- Of the alert when it was told. Null: it was not, or by an older version.
ALTER TABLE operator_messages ADD COLUMN severity text;
-- Why it was not taken, without any address.
ALTER TABLE operator_messages ADD COLUMN last_error text;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
