"""Receipts of erasures: what was deleted where, and what each platform had got, signed so that nobody can change it later.

A receipt is ``{"receipt": {...}, "signature": {"algorithm": "Ed25519", "key_id", "value"}}`` in one spelling: JSON with sorted
keys and no blanks, in UTF-8, the signature as lower-case hexadecimal digits. Another spelling of the same does not verify. What
is signed is ``receipt`` in that spelling.

The key that signs is made with the first receipt and kept sealed in the database, as that of ``services.marks``. A key that is
retired stays published, so that its receipts verify for as long as anybody keeps them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tracklayer.db import erasure_keys
from tracklayer.db import erasures as db
from tracklayer.db.connection import in_transaction
from tracklayer.db.erasures import ErasureRow
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.runtime import Runtime
from tracklayer.services.marks import context_of, key_of

WELL_KNOWN = "/.well-known/tracklayer-erasure.json"
ALGORITHM = "Ed25519"
NOT_COVERED = (
    "backups of the database, until they are overwritten",
    "logs and exports that were copied elsewhere",
    "the systems of the shop itself",
    "what the platforms got, and keep by their own rules",
)


_NO_TABLES = ("identities", "shared", "uncertain", "mentions")  # of what is counted


class ReceiptError(Exception):
    """A receipt does not verify; the message says why, in a sentence."""


def canonical(value: Any) -> bytes:
    """JSON in the one spelling that is signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def write_receipt(runtime: Runtime, row: ErasureRow) -> str:
    """The signed receipt of an erasure that has finished. Needs a transaction."""
    assert row.finished_at is not None
    counts = {table: count for table, count in row.counts.items() if table not in _NO_TABLES}
    shared = row.counts.get("shared", 0)
    first, *again = db.requests_of(row)
    told = {
        "version": 1,
        "erasure": str(row.erasure_id),
        "merchant": str(row.merchant_id),
        "requested_by": first.requested_by,
        "requested_at": _instant(first.requested_at),
        "requested_again": [{"by": one.requested_by, "at": _instant(one.requested_at)} for one in again],
        "looked_until": _instant(row.looks_until),
        "finished_at": _instant(row.finished_at),
        "identifiers": [{"kind": kind, "keyed_hash": cut} for kind, cut in row.identifiers],
        "suppressed": row.suppress,
        "deleted": counts,
        "browsers": {"forgotten": row.counts.get("identities", 0) - shared, "shared_and_kept": shared},
        "events_kept_as_uncertain": row.counts.get("uncertain", 0),
        "mentions_removed": row.counts.get("mentions", 0),
        "platforms": [_platform(key, found) for key, found in sorted(row.platforms.items())],
        "not_covered": list(NOT_COVERED),
    }
    key = key_of(runtime, "sign", _new_key)
    private = Ed25519PrivateKey.from_private_bytes(runtime.sealer.open(key.sealed, context_of(key.key_id)))
    signature = {"algorithm": ALGORITHM, "key_id": key.key_id, "value": private.sign(canonical(told)).hex()}
    return canonical({"receipt": told, "signature": signature}).decode()


def _platform(key: str, found: Mapping[str, Any]) -> dict[str, Any]:
    mapper = mapper_for(key) if key in PLATFORMS else None
    return {
        "platform": key,
        "deliveries": found["deliveries"],
        "sent_or_tried": found["attempted"],
        "acknowledged": found["delivered"],
        "first_at": found["first_at"],
        "last_at": found["last_at"],
        "what_can_be_done": mapper.deletion if mapper is not None else "",
    }


def _new_key() -> tuple[bytes, bytes]:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def verify_receipt(text: bytes, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """What a receipt says. ``keys``: key id -> public key. Raises ReceiptError. A line's end behind it is no change."""
    text = text[:-1] if text.endswith(b"\n") else text
    try:
        value = json.loads(text)
        told, signature = value["receipt"], value["signature"]
        key_id, algorithm, signed = signature["key_id"], signature["algorithm"], signature["value"]
        is_as_written = canonical(value) == text and bytes.fromhex(signed).hex() == signed
        is_named = isinstance(key_id, str)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ReceiptError("This is no receipt of an erasure.") from None
    if value.keys() != {"receipt", "signature"} or signature.keys() != {"key_id", "algorithm", "value"}:
        raise ReceiptError("This receipt was changed: it holds what none has.")
    if not is_as_written:
        raise ReceiptError("This receipt was changed: it is not spelt as receipts are.")
    if algorithm != ALGORITHM or not is_named or key_id not in keys:
        raise ReceiptError("This receipt was signed with a key that is not among the published ones.")
    try:
        Ed25519PublicKey.from_public_bytes(keys[key_id]).verify(bytes.fromhex(signed), canonical(told))
    except (InvalidSignature, ValueError):
        raise ReceiptError("This receipt was changed: its signature does not fit.") from None
    return dict(told)


def published_keys(runtime: Runtime) -> dict[str, Any]:
    """What stands at the well-known address: all keys that ever signed. Makes the first one where there is none."""
    with in_transaction():
        key_of(runtime, "sign", _new_key)
        found = erasure_keys.public_keys()
    return {
        "keys": [
            {
                "key_id": key_id,
                "algorithm": ALGORITHM,
                "public_key": public.hex(),
                "made_at": _instant(made_at),
                "retired_at": _instant(retired_at) if retired_at is not None else None,
            }
            for key_id, public, made_at, retired_at in found
        ]
    }


def rotate_key(runtime: Runtime) -> str:
    """Signs with a new key from now on; its id. The former one stays published, and its private half is deleted."""
    with in_transaction():
        erasure_keys.retire_key(key_of(runtime, "sign", _new_key).key_id, runtime.clock.now())
        return key_of(runtime, "sign", _new_key).key_id


def read_keys(text: bytes) -> dict[str, bytes]:
    """Key id -> public key, of a file as it stands at the well-known address. Raises ReceiptError."""
    try:
        return {one["key_id"]: bytes.fromhex(one["public_key"]) for one in json.loads(text)["keys"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReceiptError("This is no file of public keys, as it stands at " + WELL_KNOWN + ".") from None


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
