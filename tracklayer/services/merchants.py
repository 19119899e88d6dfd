"""Merchants and who may speak for them."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from tracklayer.db import merchants as db
from tracklayer.db.alert_mails import recipients
from tracklayer.db.alerts import lock_alerts
from tracklayer.db.connection import DatabaseAwayError, in_transaction
from tracklayer.db.merchants import KeyHolder
from tracklayer.db.models import ApiKeyRow, MerchantRow
from tracklayer.db.sessions import is_in_the_way
from tracklayer.domain.collector import Collector, changed
from tracklayer.domain.problem import Name, Problem
from tracklayer.domain.text import wrong_with_name
from tracklayer.mappers.base import CONSENT_RULES, wrong_with_currency, wrong_with_page_url
from tracklayer.runtime import Runtime
from tracklayer.services.alert import tell_added
from tracklayer.services.marks import marker_of

SCOPES = ("ingest", "read", "admin")
RETENTION_DAYS = (30, 90, 180, 365)  # one more needs a migration: the table has them in a constraint
_DAYS = f"{', '.join(map(str, RETENTION_DAYS[:-1]))} or {RETENTION_DAYS[-1]}"
KEY_BYTES = 32  # of randomness: nothing to guess, so a plain SHA-256 is all its storage needs
_PREFIX_LENGTH = 10  # characters of a key that may be shown: enough to tell keys apart
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+")
STITCHED_AFTER = timedelta(
    seconds=5
)  # by then every worker has heard of it, and none maps an event as another would not
MAX_NAME = 200  # characters
MAX_ADDRESSES = 50  # for alerts, of one merchant
MAX_ADDRESS = 254  # characters, as mail servers take them


def create_merchant(
    runtime: Runtime,
    name: str,
    retention_days: int = 90,
    hash_user_data: bool = True,
    alert_emails: Sequence[str] = (),
) -> tuple[int, str] | list[Problem]:
    """(merchant id, API key with all scopes): the key is shown this once. Or what is wrong with the values."""
    problems = check_merchant({"name": name, "retention_days": retention_days, "alert_emails": list(alert_emails)})
    if problems:
        return problems
    now = runtime.clock.now()
    with in_transaction():
        merchant_id = db.insert_merchant(name.strip(), retention_days, hash_user_data, alert_emails, now)
        _, key = insert_key(merchant_id, "first key", SCOPES, now)
    return merchant_id, key


def ensure_default_merchant(runtime: Runtime) -> tuple[int, str | None]:
    """(id of the merchant ``default``, its API key if this call created it)."""
    now = runtime.clock.now()
    with in_transaction():
        created = db.insert_default_merchant(now)
        if created is None:
            return db.default_merchant_id(), None
        return created, insert_key(created, "first key", SCOPES, now)[1]


def update_merchant(runtime: Runtime, merchant_id: int, changes: dict[str, Any]) -> MerchantRow | list[Problem]:
    """Changes ``name``, ``retention_days``, ``hash_user_data``, ``alert_emails``, ``default_currency``,
    ``default_page_url``, ``require_consent``, ``collector`` (of it what ``domain.collector.changed`` takes); what is missing
    stays, and of the defaults None or empty text removes one. Addresses that are new are told of the alerts that are open.
    """
    changes = {name: None if value == "" and name in DEFAULTS else value for name, value in changes.items()}
    problems = check_merchant(changes)
    if problems:
        return problems
    if "name" in changes:
        changes = {**changes, "name": changes["name"].strip()}
    collector = changes.pop("collector", None)
    now = runtime.clock.now()
    with holders_change(runtime, merchant_id), in_transaction():
        addresses: list[str] = []
        if "alert_emails" in changes:
            lock_alerts(merchant_id)
            addresses = recipients(merchant_id)
        if collector is not None:
            found = _collector(merchant_id, collector, now)
            if isinstance(found, list):
                return found
            changes |= found
        row = db.update_merchant(merchant_id, changes)
        if row is not None and "alert_emails" in changes:
            tell_added(merchant_id, set(row.alert_emails).difference(addresses), now)
    if row is None:
        return [_NOT_FOUND]
    return row


_NOT_FOUND = Problem((), "NOT_FOUND", "There is no such merchant.")


def _collector(merchant_id: int, given: Mapping[str, Any], now: datetime) -> dict[str, Any] | list[Problem]:
    """The columns that change with it, or what is wrong. Needs a transaction, and holds the merchant until it ends."""
    db.lock_merchant(merchant_id)
    row = db.merchant_by_id(merchant_id)
    if row is None:
        return [_NOT_FOUND]
    after = changed(Collector.read(row.collector), given)
    if isinstance(after, list):
        return [problem.under("collector") for problem in after]
    columns: dict[str, Any] = {"collector": after.stored()}
    if after.enabled and row.public_key is None:
        columns["public_key"] = "tlp_" + secrets.token_urlsafe(16)
    if after.enabled and row.stitched_since is None:
        columns["stitched_since"] = now + STITCHED_AFTER
    return columns


def check_merchant(values: dict[str, Any]) -> list[Problem]:
    problems = []
    if "name" in values:
        problems += _check_name(values["name"])
    if "retention_days" in values and values["retention_days"] not in RETENTION_DAYS:
        problems.append(Problem(("retention_days",), "INVALID_VALUE", f"Retention must be {_DAYS} days."))
    for name, wrong in DEFAULTS.items():
        if (value := values.get(name)) is not None and (what := wrong(value)):
            problems.append(Problem.said((name,), "INVALID_VALUE", Name((name,)), f" {what}."))
    if values.get("require_consent", "never") not in CONSENT_RULES:
        problems.append(Problem(("require_consent",), "INVALID_VALUE", "It must be NEVER, EEA or ALWAYS."))
    addresses = values.get("alert_emails", ())
    if len(addresses) > MAX_ADDRESSES:
        message = f"A merchant may have {MAX_ADDRESSES} alert addresses."
        problems.append(Problem(("alert_emails",), "TOO_LARGE", message))
        addresses = ()
    for index, address in enumerate(addresses):
        if len(address) > MAX_ADDRESS or not address.isprintable() or not _EMAIL.fullmatch(address):
            message = "An alert address must look like ops@example.com."
            problems.append(Problem(("alert_emails", str(index)), "INVALID_VALUE", message))
    return problems


DEFAULTS = {"default_currency": wrong_with_currency, "default_page_url": wrong_with_page_url}


def _check_name(name: str) -> list[Problem]:
    wrong = wrong_with_name(name.strip(), MAX_NAME)
    return [Problem(("name",), "INVALID_VALUE", f"The name {wrong}.")] if wrong else []


def create_api_key(
    runtime: Runtime, merchant_id: int, name: str, scopes: Sequence[str]
) -> tuple[ApiKeyRow, str] | list[Problem]:
    """(the key's row, the key itself): it is stored as a hash and never shown again."""
    problems = _check_name(name)
    if not scopes:
        problems.append(Problem(("scopes",), "REQUIRED", "A key needs at least one scope: INGEST, READ or ADMIN."))
    if problems:
        return problems
    with in_transaction():
        db.lock_merchant(merchant_id)  # so that no two at once are the last one
        if db.count_api_keys(merchant_id) >= db.MAX_API_KEYS:
            message = f"A merchant may have {db.MAX_API_KEYS} API keys in force. Revoke one first."
            return [Problem((), "TOO_LARGE", message)]
        return insert_key(merchant_id, name.strip(), sorted(set(scopes)), runtime.clock.now())


def revoke_api_key(runtime: Runtime, merchant_id: int, key_id: int) -> ApiKeyRow | None:
    """The key after the change. Worth nothing here from now on, and in other processes within ``keyring.LIFETIME``."""
    with holders_change(runtime, merchant_id), in_transaction():
        return db.revoke_api_key(merchant_id, key_id, runtime.clock.now())


def authenticate(runtime: Runtime, key: str) -> KeyHolder | None:
    """Whose key it is; None for one that is unknown or revoked. Notes that it was used."""
    begun, now, key_hash = runtime.keyring.begin(), runtime.clock.now(), hash_of_key(key)
    found = db.key_holder(key_hash, now)
    if found is None:
        if (revoked := db.revoked_key(key_hash)) is not None:
            merchant_id, key_id, scopes = revoked
            runtime.counting.turned_away.keep_revoked(key_hash, merchant_id, key_id, may_send="ingest" in scopes)
        return None
    holder, is_to_note = found
    if holder.is_marked:
        marker_of(runtime)  # read here, where a row may be asked: ingest takes it from memory
    if is_to_note:
        _note_use(holder, now)
    runtime.keyring.keep(key_hash, holder, now, begun)
    return holder


def _note_use(holder: KeyHolder, now: datetime) -> None:
    """As far as it can be done at once: nobody waits for a note."""
    try:
        with in_transaction():
            db.note_use(holder.merchant_id, holder.key_id, now)
    except DatabaseAwayError as error:
        if not is_in_the_way(error):
            raise


def recently_authenticated(runtime: Runtime, key: str) -> KeyHolder | None:
    """Whose key it is, without asking a row: None where nobody asked within ``keyring.LIFETIME``."""
    holder: KeyHolder | None = runtime.keyring.find(hash_of_key(key), runtime.clock.now())
    return holder


def is_known_key(runtime: Runtime, key: str) -> bool:
    """Whether this process has found this key before."""
    return runtime.keyring.has_held(hash_of_key(key))


@contextmanager
def holders_change(runtime: Runtime, merchant_id: int) -> Iterator[None]:
    """Around a transaction that changes what a merchant's KeyHolder is made of, or who holds a key."""
    try:
        yield
    finally:  # also after a failure: a commit whose answer was lost is one all the same
        runtime.keyring.forget(merchant_id)


def insert_key(merchant_id: int, name: str, scopes: Sequence[str], now: Any) -> tuple[ApiKeyRow, str]:
    """(the new key's row, the key itself). Needs a transaction."""
    key = "tl_" + secrets.token_urlsafe(KEY_BYTES)
    return db.insert_api_key(merchant_id, name, scopes, key[:_PREFIX_LENGTH], hash_of_key(key), now), key


def hash_of_key(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
