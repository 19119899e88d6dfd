"""The ledger by the hour, kept as minutes are folded: what is read of weeks are hours, and not their minutes.

A row of ``ledger_hours`` is the sum of an hour's folded minutes (slot 0). It changes with them, in the transaction that
changes them, whichever version of the code folds. What is counted since has a slot, and is in ``minutes`` alone.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # the index is made beside the writers; each step may be done again

FOLD_LOCK = 7_301_006  # as in db/folding.py: while it is held nobody changes a folded minute

COUNTS = ("accepted", "coalesced", "rejected", "filtered", "routed", "waiting", "delivered", "dropped", "purged")

TABLE = f"""
CREATE TABLE IF NOT EXISTS ledger_hours (
    merchant_id         bigint NOT NULL,
    platform            text NOT NULL,
    hour                timestamptz NOT NULL,
    {", ".join(f"{name} integer NOT NULL DEFAULT 0" for name in COUNTS)},
    drop_reasons        jsonb,
    latency             integer[],
    PRIMARY KEY (merchant_id, platform, hour)
) WITH (fillfactor = 70)
"""

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
          AND (h.accepted, h.coalesced, h.rejected, h.routed, h.purged) = (0, 0, 0, 0, 0);
    END IF;
    RETURN NULL;
END $$
"""

TRIGGERS = tuple(
    f"CREATE OR REPLACE TRIGGER ledger_hours_{event} AFTER {event} ON minutes FOR EACH ROW WHEN ({row}.slot = 0) "
    "EXECUTE FUNCTION keep_ledger_hours()"
    for event, row in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD"))
)

FILL = f"""
INSERT INTO ledger_hours (merchant_id, platform, hour, {", ".join(COUNTS)}, drop_reasons, latency)
SELECT merchant_id, platform, date_trunc('hour', minute, 'UTC') AS hour, {", ".join(f"sum({n})::int" for n in COUNTS)},
       sum_counts(drop_reasons) FILTER (WHERE drop_reasons IS NOT NULL),
       nullif(sum_counts(latency) FILTER (WHERE latency IS NOT NULL), '{{}}')
FROM minutes WHERE slot = 0 GROUP BY merchant_id, platform, hour
"""

# What is counted and not folded yet, of one merchant.
INDEX = "ON minutes (merchant_id, minute) WHERE slot <> 0"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(TABLE)
    db.execute_sql("SELECT pg_advisory_lock(%s)", (FOLD_LOCK,))
    try:
        db.execute_sql(FUNCTION)
        for statement in TRIGGERS:
            db.execute_sql(statement)
        with db.atomic():
            db.execute_sql("DELETE FROM ledger_hours")
            db.execute_sql(FILL)
    finally:
        db.execute_sql("SELECT pg_advisory_unlock(%s)", (FOLD_LOCK,))
    make_index(db, "minutes_counting", INDEX)
