"""The ledger's minutes, how much each destination has waiting, and what the monitors have learned."""

from __future__ import annotations

from typing import Any

SQL = """
-- What happened to a destination's deliveries, or (platform '') to a merchant's events, by minute. ``slot`` is the
-- backend that counted, so that no two transactions ever wait for the same row; old slots are folded into slot 0.
CREATE TABLE minutes (
    merchant_id         bigint NOT NULL,
    platform            text NOT NULL,
    minute              timestamptz NOT NULL,
    slot                integer NOT NULL,
    -- Of the events that arrived in this minute: how they were received, and where their deliveries stand now.
    accepted            integer NOT NULL DEFAULT 0,
    coalesced           integer NOT NULL DEFAULT 0,
    rejected            integer NOT NULL DEFAULT 0,
    filtered            integer NOT NULL DEFAULT 0,
    routed              integer NOT NULL DEFAULT 0,
    waiting             integer NOT NULL DEFAULT 0,
    delivered           integer NOT NULL DEFAULT 0,
    dropped             integer NOT NULL DEFAULT 0,
    purged              integer NOT NULL DEFAULT 0,
    drop_reasons        jsonb,
    latency             integer[],
    -- What was done in this minute, whenever the event arrived: attempts by their outcome, and what left the queue.
    acknowledged        integer NOT NULL DEFAULT 0,
    refused             integer NOT NULL DEFAULT 0,
    rate_limited        integer NOT NULL DEFAULT 0,
    credentials_refused integer NOT NULL DEFAULT 0,
    unreachable         integer NOT NULL DEFAULT 0,
    unknown             integer NOT NULL DEFAULT 0,
    requeued            integer NOT NULL DEFAULT 0,
    finished            integer NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, platform, minute, slot)
) WITH (fillfactor = 60);
-- What the folding takes up: the few rows that are not folded yet.
CREATE INDEX minutes_unfolded ON minutes (minute) WHERE slot <> 0;

-- Two lists of counts, added up place by place; the shorter one counts as filled with zeros.
CREATE FUNCTION add_counts(integer[], integer[]) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY place) FROM unnest($1, $2) WITH ORDINALITY AS u(x, y, place)
$$;
CREATE AGGREGATE sum_counts(integer[]) (SFUNC = add_counts, STYPE = integer[], INITCOND = '{}', PARALLEL = SAFE);

-- Two objects of counts, added up key by key.
CREATE FUNCTION add_counts(jsonb, jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 IS NULL THEN $2 WHEN $2 IS NULL THEN $1 ELSE
        (SELECT jsonb_object_agg(key, n) FROM (
            SELECT key, sum(value::int) AS n FROM (
                SELECT * FROM jsonb_each_text($1) UNION ALL SELECT * FROM jsonb_each_text($2)) AS either
            GROUP BY key) AS added) END
$$;
CREATE AGGREGATE sum_counts(jsonb) (SFUNC = add_counts, STYPE = jsonb, PARALLEL = SAFE);

-- How many deliveries each destination has waiting: the sum over the slots.
CREATE TABLE queues (
    merchant_id         bigint NOT NULL,
    platform            text NOT NULL,
    slot                integer NOT NULL,
    waiting             bigint NOT NULL,
    PRIMARY KEY (merchant_id, platform, slot)
) WITH (fillfactor = 60);

-- What the monitors know of a destination's, or (platform '') a merchant's, own normal.
CREATE TABLE baselines (
    merchant_id         bigint NOT NULL,
    platform            text NOT NULL,
    learned_until       timestamptz NOT NULL,
    learned             jsonb NOT NULL,
    PRIMARY KEY (merchant_id, platform)
);

-- Deliveries that were there before anybody counted.
INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, coalesced)
SELECT merchant_id, '', date_trunc('minute', received_at, 'UTC'), 0, count(*), sum(times_received - 1)
FROM events GROUP BY 1, 3;
INSERT INTO minutes (merchant_id, platform, minute, slot, accepted, routed, waiting, delivered, dropped, drop_reasons)
SELECT merchant_id, platform, minute, 0, sum(n), sum(n),
       coalesce(sum(n) FILTER (WHERE status IN ('queued', 'failed')), 0),
       coalesce(sum(n) FILTER (WHERE status = 'delivered'), 0), coalesce(sum(n) FILTER (WHERE status = 'dropped'), 0),
       jsonb_object_agg(drop_reason, n) FILTER (WHERE drop_reason IS NOT NULL)
FROM (SELECT merchant_id, platform, date_trunc('minute', received_at, 'UTC') AS minute, status, drop_reason, count(*) AS n
      FROM deliveries GROUP BY 1, 2, 3, 4, 5) AS found GROUP BY 1, 2, 3;
INSERT INTO queues (merchant_id, platform, slot, waiting)
SELECT merchant_id, platform, 0, count(*) FROM deliveries WHERE due_at IS NOT NULL GROUP BY 1, 2;
"""


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(SQL)
