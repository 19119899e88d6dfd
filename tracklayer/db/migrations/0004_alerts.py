"""The life of an alert: how long it has been quiet, its openings and resolvings in order, and the e-mail about them."""

from __future__ import annotations

from typing import Any

SQL = """
-- Since when an open alert has had no finding; it resolves when that has lasted.
ALTER TABLE alerts ADD COLUMN quiet_since timestamptz;
-- What was resolved lately, which a new finding may continue.
CREATE INDEX alerts_resolved ON alerts (merchant_id, resolved_at) WHERE resolved_at IS NOT NULL;
-- Which alerts of a merchant were open at some time between two instants. The merchant as a range of one number: so
-- both columns are ranges, and the index needs no extension.
CREATE INDEX alerts_spans ON alerts
    USING gist (int8range(merchant_id, merchant_id, '[]'), tstzrange(opened_at, resolved_at, '[]'));

-- One row for each opening, reopening and resolving, written in that transaction. Subscriptions read it by position.
CREATE TABLE alert_changes (
    merchant_id      bigint NOT NULL,
    change_id        bigint GENERATED ALWAYS AS IDENTITY,
    alert_id         bigint NOT NULL,
    state            text NOT NULL CHECK (state IN ('open', 'resolved')),
    at               timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, change_id),
    FOREIGN KEY (merchant_id, alert_id) REFERENCES alerts ON DELETE CASCADE
);
CREATE INDEX alert_changes_alert ON alert_changes (merchant_id, alert_id, change_id);
CREATE INDEX alert_changes_at ON alert_changes (at);

-- One row for each e-mail: a change, told to one address. See services/notify.py for the statuses.
CREATE TABLE alert_mails (
    merchant_id      bigint NOT NULL,
    mail_id          bigint GENERATED ALWAYS AS IDENTITY,
    alert_id         bigint NOT NULL,
    change_id        bigint NOT NULL,
    state            text NOT NULL CHECK (state IN ('open', 'resolved')),
    recipient        text NOT NULL,
    status           text NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('waiting', 'sending', 'sent', 'failed', 'unknown', 'cancelled')),
    due_at           timestamptz NOT NULL,
    next_attempt_at  timestamptz NOT NULL,
    attempts         integer NOT NULL DEFAULT 0,
    leased_at        timestamptz,
    failing_since    timestamptz,
    last_error       text,
    finished_at      timestamptz,
    PRIMARY KEY (merchant_id, mail_id),
    UNIQUE (merchant_id, alert_id, change_id, recipient),
    FOREIGN KEY (merchant_id, alert_id) REFERENCES alerts ON DELETE CASCADE
);
CREATE INDEX alert_mails_waiting ON alert_mails (next_attempt_at) WHERE status = 'waiting';
CREATE INDEX alert_mails_sending ON alert_mails (leased_at) WHERE status = 'sending';
CREATE INDEX alert_mails_lost ON alert_mails (finished_at) WHERE status IN ('failed', 'unknown');
CREATE INDEX alert_mails_due ON alert_mails (due_at);

-- Alerts that were there before: their openings and resolvings, in the order in which they happened.
INSERT INTO alert_changes (merchant_id, alert_id, state, at)
SELECT merchant_id, alert_id, state, at FROM (
    SELECT merchant_id, alert_id, 'open' AS state, opened_at AS at FROM alerts
    UNION ALL
    SELECT merchant_id, alert_id, 'resolved', resolved_at FROM alerts WHERE resolved_at IS NOT NULL) AS changes
ORDER BY at, alert_id, state;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
