"""The minutes of an hour that is over become part of the hour's one row: ``ledger_hours`` keeps them in ``parts``.

A merchant that is sent one event a minute has sixty rows an hour and destination in ``minutes``. Each is a row of its own only
while it is young (db/packing.py); ``counted`` reads all of them as rows, the packed ones as the others. The sums of
``ledger_hours`` are what they were, whether an hour is packed or not.
"""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # the indexes are made beside the writers; each step may be done again

FOLD_LOCK = 7_301_006  # as in db/folding.py: while it is held nobody changes a folded minute

COUNTS = (
    *("accepted", "coalesced", "rejected", "filtered", "routed", "waiting", "delivered", "dropped", "purged"),
    *(
        "acknowledged",
        "refused",
        "rate_limited",
        "credentials_refused",
        "unreachable",
        "unknown",
        "requeued",
        "finished",
    ),
    *("retries_acknowledged", "retries_failed", "unmappable"),
)
SUMMED = COUNTS[:10]  # by ledger_hours

# A minute's row without what the hour's row says of it; ``at``: its minute of the hour. A count of zero is null: it takes no room.
TYPE = f"CREATE TYPE counted_minute AS (at smallint, {', '.join(f'{n} integer' for n in COUNTS)}, drop_reasons jsonb, latency integer[])"

# ``loose``: minutes of this hour may be in ``minutes``, too: the trigger sets it, packing takes it back. ``by_minute``: ``parts``
# holds minutes; else it holds what the hour comes to, as its first minute.
COLUMNS = """
ALTER TABLE ledger_hours ADD COLUMN IF NOT EXISTS parts counted_minute[],
    ADD COLUMN IF NOT EXISTS loose boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS by_minute boolean NOT NULL DEFAULT false
"""

# What is packed leaves ``minutes`` and stays in its hour.
FUNCTION = f"""
CREATE OR REPLACE FUNCTION add_to_ledger_hours(m minutes, sign integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger_hours AS h (merchant_id, platform, hour, {", ".join(SUMMED)}, drop_reasons, latency)
    VALUES (m.merchant_id, m.platform, date_trunc('hour', m.minute, 'UTC'), {", ".join(f"sign * m.{n}" for n in SUMMED)},
            (SELECT jsonb_object_agg(key, sign * value::int) FROM jsonb_each_text(m.drop_reasons)),
            (SELECT array_agg(sign * n ORDER BY place) FROM unnest(m.latency) WITH ORDINALITY AS u(n, place)))
    ON CONFLICT (merchant_id, platform, hour) DO UPDATE SET
        {", ".join(f"{name} = h.{name} + excluded.{name}" for name in SUMMED)},
        drop_reasons = add_counts(h.drop_reasons, excluded.drop_reasons),
        latency = CASE WHEN excluded.latency IS NULL THEN h.latency ELSE add_counts(h.latency, excluded.latency) END,
        loose = true
$$;
CREATE OR REPLACE FUNCTION keep_ledger_hours() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('tracklayer.packs', true) = 'on' THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM add_to_ledger_hours(OLD, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM add_to_ledger_hours(NEW, 1);
    ELSE
        DELETE FROM ledger_hours h
        WHERE h.merchant_id = OLD.merchant_id AND h.platform = OLD.platform
          AND h.hour = date_trunc('hour', OLD.minute, 'UTC') AND h.parts IS NULL
          AND (h.accepted, h.coalesced, h.rejected, h.routed, h.purged, h.acknowledged) = (0, 0, 0, 0, 0, 0);
    END IF;
    RETURN NULL;
END $$
"""

# ``hour`` is there for the indexes alone: at or before ``minute``, and in the same hour. Whoever reads from an instant on
# says ``hour >= date_trunc('hour', <instant>, 'UTC')`` beside ``minute >= <instant>``; up to one, ``hour < <instant>``, too.
VIEW = f"""
CREATE OR REPLACE VIEW counted AS
SELECT merchant_id, platform, minute AS hour, minute, {", ".join(COUNTS)}, drop_reasons, latency FROM minutes
UNION ALL
SELECT h.merchant_id, h.platform, h.hour, h.hour + p.at * interval '1 minute',
       {", ".join(f"coalesce(p.{name}, 0)" for name in COUNTS)}, p.drop_reasons, p.latency
FROM ledger_hours h CROSS JOIN LATERAL unnest(h.parts) AS p
"""

INDEXES = {
    "ledger_hours_loose": "(hour, merchant_id, platform) WHERE loose",
    "ledger_hours_by_minute": "(hour) WHERE by_minute",
    "ledger_hours_old": "(hour) WHERE NOT loose AND NOT by_minute",
}


def up(migrator: Any, db: Any) -> None:
    if db.execute_sql("SELECT to_regtype('counted_minute')").fetchone()[0] is None:
        db.execute_sql(TYPE)
    db.execute_sql(COLUMNS)
    db.execute_sql(VIEW)
    db.execute_sql("SELECT pg_advisory_lock(%s)", (FOLD_LOCK,))
    try:
        db.execute_sql(FUNCTION)
    finally:
        db.execute_sql("SELECT pg_advisory_unlock(%s)", (FOLD_LOCK,))
    for name, definition in INDEXES.items():
        make_index(db, name, f"ON ledger_hours {definition}")
