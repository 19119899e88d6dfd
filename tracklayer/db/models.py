"""Merchants, keys, destinations and alerts as thin peewee classes: fields and keys, nothing else. All else is plain SQL.

Events and deliveries are read and written by plain SQL in their own files; their tables stand in the migrations.
"""

from __future__ import annotations

from datetime import datetime

from peewee import (
    BigIntegerField,
    BlobField,
    BooleanField,
    CompositeKey,
    IntegerField,
    JSONField,
    Model,
    SmallIntegerField,
    TextField,
)
from playhouse.postgres_ext import ArrayField, DateTimeTZField

from tracklayer.db.connection import database


class Row(Model):
    class Meta:
        database = database
        legacy_table_names = False


class MerchantRow(Row):
    merchant_id = BigIntegerField(primary_key=True)
    name = TextField()
    retention_days = SmallIntegerField(default=90)
    hash_user_data = BooleanField(default=True)
    alert_emails = ArrayField(TextField, index=False, default=list)
    created_at = DateTimeTZField()
    is_default = BooleanField(default=False)
    default_currency = TextField(null=True)
    default_page_url = TextField(null=True)
    require_consent = TextField(default="never")
    public_key = TextField(null=True)
    collector = JSONField(null=True)
    stitched_since = DateTimeTZField(null=True)

    class Meta:
        table_name = "merchants"


class ApiKeyRow(Row):
    merchant_id = BigIntegerField()
    key_id = BigIntegerField()
    name = TextField()
    scopes = ArrayField(TextField, index=False)
    prefix = TextField()
    key_hash = BlobField(unique=True)
    created_at = DateTimeTZField()
    last_used_at = DateTimeTZField(null=True)
    revoked_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "api_keys"
        primary_key = CompositeKey("merchant_id", "key_id")


class DestinationRow(Row):
    """``merchant_...``: what its merchant sets for all platforms, where it was read with it.

    ``settings``: without secrets. ``secrets``: sealed JSON, empty once it is removed. ``setting_times``: since when each setting
    is as it is, ISO 8601, as far as that is known. ``removed_at``: its waiting deliveries are dropped. ``set_up_at``: after it
    had been removed.
    """

    merchant_id = BigIntegerField()
    platform = TextField()
    state = TextField(default="active")
    state_reason = TextField(null=True)
    event_names = ArrayField(TextField, index=False, null=True)
    settings = JSONField()
    secrets = BlobField()
    setting_times = JSONField(default=dict)
    default_country = TextField(null=True)
    failures = IntegerField(default=0)
    failing_since = DateTimeTZField(null=True)
    resume_at = DateTimeTZField(null=True)
    probe_seconds = IntegerField(default=0)
    recovering_since = DateTimeTZField(null=True)
    turn_ends_at = DateTimeTZField(null=True)
    merchant_currency: str | None
    merchant_page_url: str | None
    merchant_consent: str
    merchant_hashes: bool
    merchant_stitched_since: datetime | None
    merchant_retention_days: int
    created_at = DateTimeTZField()
    set_up_at = DateTimeTZField(null=True)
    removed_at = DateTimeTZField(null=True)

    class Meta:
        table_name = "destinations"
        primary_key = CompositeKey("merchant_id", "platform")


class AlertRow(Row):
    merchant_id = BigIntegerField()
    alert_id = BigIntegerField()
    kind = TextField()
    severity = TextField()
    platform = TextField(null=True)
    event_name = TextField(null=True)
    title = TextField()
    message = TextField()
    details = JSONField(default=dict)
    opened_at = DateTimeTZField()
    last_seen_at = DateTimeTZField()
    acknowledged_at = DateTimeTZField(null=True)
    resolved_at = DateTimeTZField(null=True)
    quiet_since = DateTimeTZField(null=True)
    snoozed_until = DateTimeTZField(null=True)
    note = TextField(null=True)
    told = JSONField(null=True)

    class Meta:
        table_name = "alerts"
        primary_key = CompositeKey("merchant_id", "alert_id")
