"""Rows as JSON: the words of GraphQL in snake_case, choices in lower case as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tracklayer.db.deliveries import WAITING, DeliveryRow
from tracklayer.db.destinations import health_of, there_since
from tracklayer.db.events import EventRow
from tracklayer.db.models import AlertRow, ApiKeyRow, DestinationRow, MerchantRow
from tracklayer.db.stored_json import loads, loads_exactly
from tracklayer.domain import ids
from tracklayer.domain.delivery import DestinationState, LoggedAttempt, may_redeliver, told_attempt, told_attempts
from tracklayer.domain.facts import OTHERS
from tracklayer.domain.health import next_try
from tracklayer.runtime import Runtime
from tracklayer.services.channels import alert_url, told_of
from tracklayer.services.check import Checked
from tracklayer.services.credentials import shown_settings
from tracklayer.services.explain import Explained, explain_delivery
from tracklayer.services.refusals import reason_and_field


def page_json(nodes: Sequence[Mapping[str, Any]], end_cursor: str | None, *, has_next_page: bool) -> dict[str, Any]:
    """A page of a list, as GraphQL's connections are."""
    return {"nodes": nodes, "page_info": {"has_next_page": has_next_page, "end_cursor": end_cursor}}


def merchant_json(row: MerchantRow) -> dict[str, Any]:
    return {
        "merchant_id": str(row.merchant_id),
        "id": ids.encode("Merchant", row.merchant_id),
        "name": row.name,
        "retention_days": row.retention_days,
        "hash_user_data": row.hash_user_data,
        "alert_emails": row.alert_emails,
        "default_currency": row.default_currency,
        "default_page_url": row.default_page_url,
        "require_consent": row.require_consent,
        "created_at": row.created_at,
    }


def key_json(row: ApiKeyRow) -> dict[str, Any]:
    return {
        "id": ids.encode("ApiKey", row.merchant_id, row.key_id),
        "name": row.name,
        "scopes": row.scopes,
        "prefix": row.prefix,
        "created_at": row.created_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    }


def destination_json(runtime: Runtime, row: DestinationRow, waiting: int) -> dict[str, Any]:
    return {
        "id": ids.encode("Destination", row.merchant_id, row.platform),
        "platform": row.platform,
        "state": row.state,
        "state_reason": row.state_reason,
        "event_names": row.event_names,
        "settings": shown_settings(runtime.sealer, row),
        "waiting": waiting,
        "created_at": there_since(row),
    }


def delivery_json(row: DeliveryRow) -> dict[str, Any]:
    """What stands in the row alone."""
    return {
        "id": ids.encode("Delivery", row.merchant_id, row.event_id, row.platform),
        "event_id": row.event_id,
        "platform": row.platform,
        "status": row.status,
        "attempts": row.attempts,
        "drop_reason": row.drop_reason,
        "last_error": row.last_error if row.status != "delivered" else None,
        "error_code": row.error_code if row.status != "delivered" else None,
        "received_at": row.received_at,
        "queued_at": row.queued_at,
        "last_attempt_at": row.last_attempt_at,
        "delivered_at": row.delivered_at,
        "dropped_at": row.finished_at if row.status == "dropped" else None,
        "latency_ms": row.latency_ms,
        "window_ends_at": row.window_ends_at if row.status in WAITING else None,
        "may_redeliver": may_redeliver(row.status, row.drop_reason),
        "attempt_log": [told_attempt(entry) for entry in row.attempt_log],
    }


def standing_delivery_json(
    public_url: str, row: DeliveryRow, destination: DestinationRow | None, now: datetime
) -> dict[str, Any]:
    """With what its destination makes of it, and what to do about it."""
    waits = row.status in WAITING
    health = health_of(destination) if waits and destination is not None else None
    explained = explain_delivery(row.platform, row.status, row.error_code, row.drop_reason, row.attempt_log)
    return {
        **delivery_json(row),
        "attempt_log": told_attempts(row.attempt_log),
        "held": health is not None and health.state is not DestinationState.ACTIVE,
        "next_retry_at": next_try(row.next_retry_at, row.due_at, health, now) if waits else None,
        "explanation": explanation_json(public_url, explained),
    }


def explanation_json(public_url: str, found: Explained | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "code": found.code,
        "summary": found.summary,
        "field": found.field,
        "next_step": found.next_step,
        "docs_url": f"{public_url}{found.docs_path}",
    }


def attempt_json(logged: LoggedAttempt) -> dict[str, Any]:
    return {
        "number": logged.number,
        "at": logged.at,
        "outcome": logged.outcome,
        "http_status": logged.http_status,
        "error": logged.error,
        "duration_ms": logged.duration_ms,
        "note": logged.note,
    }


def event_json(row: EventRow) -> dict[str, Any]:
    """As persisted: email and phone as digests where the merchant hashes, dots for what is sealed."""
    return {
        "id": ids.encode("Event", row.merchant_id, row.event_id),
        "event_id": row.event_id,
        "event_name": row.event_name,
        "occurred_at": row.occurred_at,
        "received_at": row.received_at,
        "last_received_at": row.last_received_at,
        "times_received": row.times_received,
        "action_source": row.action_source,
        "event_source_url": row.event_source_url,
        "user_data": loads(row.user_data),
        "custom_data": loads_exactly(row.custom_data),
        "device": loads(row.device) if row.device else {},
        "consent": loads(row.consent) if row.consent else None,
    }


def alert_json(public_url: str, row: AlertRow) -> dict[str, Any]:
    told = told_of(row)
    return {
        "id": ids.encode("Alert", row.merchant_id, row.alert_id),
        "kind": row.kind,
        "severity": told["severity"],
        "state": "resolved" if row.resolved_at else "open",
        "platform": row.platform,
        "event_name": row.event_name if row.event_name != OTHERS else None,
        "title": told["title"],
        "message": told["message"],
        "details": told["details"],
        "opened_at": row.opened_at,
        "last_seen_at": row.last_seen_at,
        "acknowledged_at": row.acknowledged_at,
        "note": row.note,
        "snoozed_until": row.snoozed_until,
        "resolved_at": row.resolved_at,
        "url": alert_url(public_url, row.merchant_id, row.alert_id),
    }


def refused_json(refused: Mapping[str, int], examples: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is not sent, by reason and field."""
    groups = []
    for key, count in sorted(refused.items()):
        reason, field = reason_and_field(key)
        if count:
            groups.append({"reason": reason, "count": count, "field": field, "example_event_id": examples.get(key)})
    return groups


def check_json(checked: Checked, what: str = "events") -> dict[str, Any]:
    """A check of ``what``: of a destination against the last events, or of deliveries that are queued again."""
    refused = refused_json(checked.refused, checked.examples)
    found = {what: checked.events, "would_send": checked.would_send, "refused": refused}
    if what != "events":
        return found
    warnings = [{"field": list(one.field), "code": one.code, "message": one.message} for one in checked.warnings]
    return found | {"no_place": dict(sorted(checked.no_place.items())), "warnings": warnings}
