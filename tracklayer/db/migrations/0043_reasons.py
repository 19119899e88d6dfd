"""What pages and standings look for among very much else: reasons, refusals, and the last hour with an acknowledgement."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # indexes are made beside the writers, and what is left of a try that was ended is made anew

FOLD_LOCK = 7_301_006  # as in db/folding.py: while it is held nobody changes a folded minute

# What these conditions look at changes together with the status, which other indexes hold: no update becomes one that writes
# to indexes and did not before. Hardly any delivery of everyday traffic is in either.
INDEXES = {
    "deliveries_reasons": "(merchant_id, platform, drop_reason, queued_at, event_id) WHERE drop_reason IS NOT NULL",
    "deliveries_refused": "(merchant_id, queued_at, event_id, platform) WHERE last_error IS NOT NULL",
}

# ``acknowledged``: in that hour, whenever the event arrived; all other counts are of what arrived in it.
COLUMN = "ALTER TABLE ledger_hours ADD COLUMN IF NOT EXISTS acknowledged integer NOT NULL DEFAULT 0"
COUNTS = (
    *("accepted", "coalesced", "rejected", "filtered", "routed", "waiting", "delivered", "dropped", "purged"),
    "acknowledged",
)
FUNCTION = f"""
CREATE OR REPLACE FUNCTION add_to_ledger_hours(m minutes, sign integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger_hours AS h (merchant_id, platform, hour, {", ".join(COUNTS)}, drop_reasons, latency)
    VALUES (m.merchant_id, m.platform, date_trunc('hour', m.minute, 'UTC'), {", ".join(f"sign * m.{n}" for n in COUNTS)},
            (SELECT jsonb_object_agg(key, sign * value::int) FROM jsonb_each_text(m.drop_reasons)),
            (SELECT array_agg(sign * n ORDER BY place) FROM unnest(m.latency) WITH ORDINALITY AS u(n, place)))
    ON CONFLICT (merchant_id, platform, hour) DO UPDATE SET
        {", ".join(f"{name} = h.{name} + excluded.{name}" for name in COUNTS)},
        drop_reasons = add_counts(h.drop_reasons, excluded.drop_reasons),
        latency = CASE WHEN excluded.latency IS NULL THEN h.latency ELSE add_counts(h.latency, excluded.latency) END
$$;
CREATE OR REPLACE FUNCTION keep_ledger_hours() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM add_to_ledger_hours(OLD, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM add_to_ledger_hours(NEW, 1);
    ELSE
        DELETE FROM ledger_hours h
        WHERE h.merchant_id = OLD.merchant_id AND h.platform = OLD.platform
          AND h.hour = date_trunc('hour', OLD.minute, 'UTC')
          AND (h.accepted, h.coalesced, h.rejected, h.routed, h.purged, h.acknowledged) = (0, 0, 0, 0, 0, 0);
    END IF;
    RETURN NULL;
END $$
"""
FILL = """
INSERT INTO ledger_hours AS h (merchant_id, platform, hour, acknowledged)
SELECT merchant_id, platform, date_trunc('hour', minute, 'UTC') AS hour, sum(acknowledged)::int
FROM minutes WHERE slot = 0 AND acknowledged <> 0 GROUP BY merchant_id, platform, hour
ON CONFLICT (merchant_id, platform, hour) DO UPDATE SET acknowledged = excluded.acknowledged
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(COLUMN)
    db.execute_sql("SELECT pg_advisory_lock(%s)", (FOLD_LOCK,))
    try:
        with db.atomic():
            db.execute_sql(FUNCTION)
            db.execute_sql(
                "UPDATE ledger_hours SET acknowledged = 0 WHERE acknowledged <> 0"
            )  # of a try that was ended
            db.execute_sql(FILL)
    finally:
        db.execute_sql("SELECT pg_advisory_unlock(%s)", (FOLD_LOCK,))
    for name, columns in INDEXES.items():
        make_index(db, name, f"ON deliveries {columns}")
