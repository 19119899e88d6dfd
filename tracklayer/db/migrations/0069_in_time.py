"""A statement that waited for too long on its way does nothing."""

from __future__ import annotations

from typing import Any

SQL = """
CREATE FUNCTION in_time(until timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF clock_timestamp() > until THEN
        RAISE EXCEPTION 'it comes too late' USING ERRCODE = 'TL001';
    END IF;
    RETURN true;
END
$$
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
