"""People's sessions at the dashboard, and the codes of links that sign in once.

Of both only the SHA-256 of a random value is here. A session is worth what its API key is, and nothing once that is revoked.
"""

from __future__ import annotations

from typing import Any

SQL = """
CREATE TABLE sessions (
    session_hash     bytea PRIMARY KEY,
    merchant_id      bigint NOT NULL,
    key_id           bigint NOT NULL,
    created_at       timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    FOREIGN KEY (merchant_id, key_id) REFERENCES api_keys ON DELETE CASCADE
);
CREATE INDEX sessions_of_merchant ON sessions (merchant_id, key_id);
CREATE INDEX sessions_by_age ON sessions (created_at);
CREATE TABLE sign_in_codes (
    code_hash        bytea PRIMARY KEY,
    merchant_id      bigint NOT NULL REFERENCES merchants ON DELETE CASCADE,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX sign_in_codes_of_merchant ON sign_in_codes (merchant_id, created_at);
CREATE INDEX sign_in_codes_by_age ON sign_in_codes (expires_at);
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
