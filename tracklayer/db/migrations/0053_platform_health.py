"""How each platform is doing for all merchants: an outage is found out once, and not by each destination for itself."""

from __future__ import annotations

from typing import Any

from tracklayer.db.beside import make_index

atomic = False  # indexes are made beside the writers

# ``address``: where this installation's traffic to the platform goes; '' is the platform's own. ``failing``: merchant -> when a
# request of its failed, few of them.
TABLE = """
CREATE TABLE IF NOT EXISTS platform_health (
    platform         text NOT NULL,
    address          text NOT NULL,
    failing          jsonb NOT NULL DEFAULT '{}',
    failing_since    timestamptz,
    reason           text,
    opened_at        timestamptz,
    resume_at        timestamptz,
    probe_seconds    integer NOT NULL DEFAULT 0,
    probers          bigint[] NOT NULL DEFAULT '{}',
    recovering_since timestamptz,
    released_to      timestamptz,
    suspects         bigint[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (platform, address),
    CHECK (opened_at IS NULL OR (failing_since IS NOT NULL AND resume_at IS NOT NULL))
)
"""

# Those that are held with their platform, and no others: they are released together.
HELD = "(platform, merchant_id) WHERE state = 'held' AND strpos(state_reason, '(down for every merchant since ') > 0"
# Those whose own requests fail: of a platform that turns out to be down they are held with it, too.
FAILING = "(platform, failing_since) WHERE failing_since IS NOT NULL"


def up(migrator: Any, db: Any) -> None:
    db.execute_sql(TABLE)
    make_index(db, "destinations_down", f"ON destinations {HELD}")
    make_index(db, "destinations_failing", f"ON destinations {FAILING}")
