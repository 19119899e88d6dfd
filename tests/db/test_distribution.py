"""Which statements could run on the one node that has a merchant's rows, were the tables distributed by ``merchant_id``.

Every statement of ``db/`` is read from its source, as it is at run time. One distributes where each table of merchants' in it
is tied to a merchant: compared with one that is given, or joined by ``merchant_id``. What does not is named below, with what
becomes of it on many nodes; the guide ``growing.md`` says the same in prose.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tracklayer import db
from tracklayer.db import connection
from tracklayer.db.delivery_search import DeliverySearch, waiting_query
from tracklayer.db.delivery_search import page_query as deliveries_query
from tracklayer.db.delivery_search import place_query as deliveries_place
from tracklayer.db.event_search import EventSearch, troubled_place_query
from tracklayer.db.event_search import page_query as events_query
from tracklayer.db.event_search import place_query as events_place

ROOM = Path(db.__file__).parent
# Tables of the installation itself: few rows, which stay on one node.
OF_THE_INSTALLATION = {
    "periodic_jobs",
    "look_pages",
    "platform_health",
    "rounds",
    "heartbeats",
    "api_away",
    "operator_alerts",
    "operator_messages",
    "operator_turns",
    "sealing_keys",
    "erasure_keys",
}

ROUND = "a round over all merchants, a bounded part at a time: each node is asked for its own part"
KEYLESS = (
    "asked before anybody knows whose it is: a hash, or a public key, has to lead to its merchant first, on one node"
)
COUNT = "counts over all merchants for the operator, now and then: each node counts its own"
PLATFORM = "over all merchants of a platform that is or was down, a page at a time: each node holds or releases its own"
BUILT = "put together at run time, behind merchant_id: its texts are looked at below"
RANGE = "tied to its merchant by a range of one, int8range(merchant_id, merchant_id, '[]'), for an index of ranges"
TEXT = "tied to its merchant by a text of both, merchant_id || '/' || person, for an index of that: merchant_id has to stand beside it"

EXPLAINED: dict[str, str] = {
    "ahead.DELIVERIES": ROUND,
    "ahead.DESTINATIONS": ROUND,
    "advice.advice_counts": COUNT,
    "alert_changes.purge_changes": ROUND,
    "alert_mails.NEXT_DUE": ROUND,
    "alert_mails.give_up_lost": ROUND,
    "alert_mails.give_up_ends": ROUND,
    "alert_mails.are_going": COUNT,
    "alert_mails.mail_trouble": COUNT,
    "alert_mails.mails_unsent": COUNT,
    "alert_mails.overdue": COUNT,
    "alert_mails.purge_mails": ROUND,
    "alerts.ALERTS_OF_DELIVERIES": RANGE,
    "alerts._KEEP_TOLD": BUILT,
    "alerts.page_of_alerts": BUILT,
    "channels._TAKE_CHANNEL": ROUND,
    "channels._TAKE_LISTENER": ROUND,
    "channels._UNTAKEN": COUNT,
    "channels.purge_messages": ROUND,
    "channels._SINCE_TAKEN": COUNT,
    "delivery_search.OF_KINDS": BUILT,
    "delivery_search.OF_REASONS": BUILT,
    "delivery_search._IN_HOURS": BUILT,
    "delivery_search._SORTED": BUILT,
    "delivery_search._pages_of": BUILT,
    "delivery_search.place_query": BUILT,
    "delivery_search.waiting_query": BUILT,
    "destinations.LAST_WAITING": ROUND,
    "destinations.WAITING_DESTINATIONS": ROUND,
    "destinations.count_with_any_setting": COUNT,
    "destinations.count_with_other_settings": COUNT,
    "destinations.forget_removed_secrets": ROUND,
    "destinations.held_because": ROUND,
    "enrichments.LOOK_UP": TEXT,
    "erasures.TURNS": ROUND,
    "event_search._IN_HOURS": BUILT,
    "event_search._where": BUILT,
    "event_search.page_query": BUILT,
    "event_search.place_query": BUILT,
    "event_search.troubled_place_query": BUILT,
    "event_search.troubled_query": BUILT,
    "identities.FORGET_LATE": ROUND,
    "erasures.failing_erasures": ROUND,
    "erasures.give_up_lost_erasures": ROUND,
    "erasures.purge_erasures": ROUND,
    "folding.FOLD_QUEUES": ROUND,
    "folding.FORGET": ROUND,
    "folding.merchants_with_minutes": ROUND,
    "folding.merchants_with_slots": ROUND,
    "heartbeats._SLOW": COUNT,
    "heartbeats._STALLED": COUNT,
    "heartbeats.queued": COUNT,
    "leases.LOST_CLAIMS": ROUND,
    "leases.NOTE_MISSED": ROUND,
    "looks.ACTIVE": ROUND,
    "looks.COUNTING": ROUND,
    "looks.OPEN": ROUND,
    "looks.SILENT": ROUND,
    "looks.TROUBLED": ROUND,
    "looks.UNSEEN_ADVICE": ROUND,
    "looks.WAITING": ROUND,
    "marks.purge_tombstones": ROUND,
    "merchants.collectors_of": KEYLESS,
    "merchants.default_merchant_id": KEYLESS,
    "merchants.key_holder": KEYLESS,
    "merchants.merchants_with_addresses": COUNT,
    "merchants.revoked_key": KEYLESS,
    "merchants.page_of_collectors": ROUND,
    "merchants.page_of_merchants": ROUND,
    "merchants.sole_merchant_id": KEYLESS,
    "monitors.TO_LEARN": ROUND,
    "outages.COUNT_HELD": COUNT,
    "outages.FAILING_WITH": PLATFORM,
    "outages.LOCK_HELD": PLATFORM,
    "outages.PLATFORMS_HELD": PLATFORM,
    "outages.in_hand": COUNT,
    "packed_lists.WALKED": ROUND,
    "packing.FORGET": ROUND,
    "packing._merchants": ROUND,
    "queues.EXPIRED_QUEUES": ROUND,
    "queues.REMOVED_QUEUES": ROUND,
    "redeliveries.TAKE": ROUND,
    "redeliveries.purge_redeliveries": ROUND,
    "sealing_keys._KEYS_OF_DESTINATIONS": COUNT,
    "sealing_keys._KEYS_OF_ERASURES": COUNT,
    "sealing_keys.keys_of_erasures": COUNT,
    "sealing_keys.keys_of_channels": COUNT,
    "sign_ins.end_session": KEYLESS,
    "sign_ins.living_sessions": KEYLESS,
    "sign_ins.note_seen": KEYLESS,
    "sign_ins.purge_sign_ins": ROUND,
    "sign_ins.session_holder": KEYLESS,
    "sign_ins.take_code": KEYLESS,
}

_SQL = re.compile(r"\b(SELECT\b.+?\bFROM|INSERT INTO|UPDATE \w+|DELETE FROM)\b", re.DOTALL)
_TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE|USING)\s+(?:ONLY\s+)?(\w+)")
_TIED = re.compile(
    r"merchant_id\s*(?:=|IN\b)|USING \(merchant_id|=\s*(?:\w+\.)?merchant_id\b"
    r"|\(\s*(?:\w+\.)?merchant_id\s*,[^()]*\)\s*(?:=|IN\b)"
)
_CREATED = re.compile(r"CREATE (?:TABLE|OR REPLACE VIEW) (?:IF NOT EXISTS )?(\w+)")
TABLES = {
    name for path in (ROOM / "migrations").glob("*.py") for name in _CREATED.findall(path.read_text())
} - OF_THE_INSTALLATION


def distributes(sql: str) -> bool:
    """Whether as many conditions tie it to merchants as it names tables of theirs to read, change or delete from."""
    return len(_TIED.findall(sql)) >= sum(name in TABLES for name in _TABLE.findall(sql))


def statements() -> Iterator[tuple[str, str]]:
    """``module.constant`` or ``module.function`` -> each of its statements."""
    for path in sorted(ROOM.glob("*.py")):
        names = vars(importlib.import_module(f"tracklayer.db.{path.stem}"))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                name = target.id if isinstance(target, ast.Name) else ""
                value = names.get(name)
                texts = list(value.values()) if isinstance(value, dict) else [value]
                found = [text for text in texts if isinstance(text, str)]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name, found = node.name, list(_texts(node, names))
            else:
                continue
            yield from ((f"{path.stem}.{name}", text) for text in found if _SQL.search(text))


def _texts(node: ast.AST, names: dict[str, Any]) -> Iterator[str]:
    text = _text(node, names)
    if text is not None:
        yield text
        return
    body = getattr(node, "body", None)
    is_documented = isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None
    for child in ast.iter_child_nodes(node):
        if not (is_documented and isinstance(body, list) and child is body[0]):
            yield from _texts(child, names)


def _text(node: ast.AST, names: dict[str, Any]) -> str | None:
    """A string as it is at run time, as far as the module's own names say; what depends on more stays in braces."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, names) or "" for part in node.values)
    if isinstance(node, ast.FormattedValue):
        known = names.get(node.value.id) if isinstance(node.value, ast.Name) else None
        return known if isinstance(known, str) else f"{{{ast.unparse(node.value)}}}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left, names), _text(node.right, names)
        return left + right if left is not None and right is not None else None
    return None


def test_every_statement_distributes_by_merchant_or_says_why_not() -> None:
    found = list(statements())
    assert len(found) > 300  # they are found at all
    lonely = {name: " ".join(sql.split())[:160] for name, sql in found if not distributes(sql)}
    unexplained = {name: sql for name, sql in lonely.items() if name not in EXPLAINED}
    assert unexplained == {}, "give each its merchant_id, or say in EXPLAINED what becomes of it on many nodes"
    assert sorted(EXPLAINED.keys() - lonely.keys()) == [], (
        "these distribute by now, or are gone: take them off the list"
    )


def test_what_is_put_together_at_run_time_is_tied_to_its_merchant() -> None:
    for platform, status, reason, error in product(
        (None, "meta"), ((), ("failed", "queued")), ((), ("expired",)), (None, "x")
    ):
        of_deliveries = DeliverySearch(platform, status, reason, None, None, error, None)
        asked = [deliveries_query(7, of_deliveries, 50, much_waits) for much_waits in (None, False, True)]
        for sql, _ in (*asked, deliveries_place(7, of_deliveries, 50), waiting_query(7, of_deliveries)):
            assert distributes(sql), sql
    for event_name, prefix, state, where in product((None, "Purchase"), (None, "a"), (None, "failed"), (None, "meta")):
        search = EventSearch(event_name, prefix, None, None, None, None, state, (), where, (), None, None)
        troubled = [troubled_place_query(7, search, 50)] if state else []
        for sql, _ in (events_query(7, search, 50), events_place(7, search, 50), *troubled):
            assert distributes(sql), sql


def test_the_key_of_every_table_of_merchants_names_the_merchant(database: str) -> None:
    """But of two, whose rows are asked for by a hash before anybody knows whose they are."""
    with connection.session():
        found = connection.rows(
            "SELECT c.relname, array_agg(a.attname) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey::int2[]) "
            "WHERE i.indisprimary AND c.relnamespace = 'public'::regnamespace GROUP BY 1"
        )
    keys = {table: columns for table, columns in found if table in TABLES}
    assert {table for table, columns in keys.items() if "merchant_id" not in columns} == {"sessions", "sign_in_codes"}


def test_models_are_asked_by_their_merchant() -> None:
    """What peewee writes: each of its queries is made by a function that names the merchant."""
    for path in sorted(ROOM.glob("*.py")):
        source = path.read_text()
        for node in ast.parse(source).body:
            text = ast.get_source_segment(source, node) or ""
            if isinstance(node, ast.FunctionDef) and re.search(r"Row\.(select|update|delete)\(", text):
                assert "merchant_id ==" in text or "merchant_id.in_" in text, node.name


@pytest.mark.parametrize(
    ("sql", "does"),
    [
        ("SELECT 1 FROM events WHERE merchant_id = %s AND event_id = %s", True),
        ("SELECT 1 FROM events WHERE event_id = %s", False),
        ("SELECT 1 FROM events e JOIN deliveries d USING (merchant_id, event_id) WHERE e.merchant_id = %s", True),
        ("SELECT 1 FROM events e JOIN deliveries d USING (event_id) WHERE e.merchant_id = %s", False),
        ("DELETE FROM claims WHERE (merchant_id, platform, claim_id) = (%s, %s, %s)", True),
        ("UPDATE events SET a = 1", False),
        ("INSERT INTO events (merchant_id, event_id) VALUES (%s, %s)", True),
        ("SELECT name FROM periodic_jobs", True),
    ],
)
def test_a_condition_for_each_table_is_what_counts(sql: str, does: bool) -> None:
    assert distributes(sql) is does
