"""Seals what only a mapper may see: AES-256-GCM from ``cryptography``, with keys that rotate.

A sealed value is ``version (1 byte) | key id (4) | nonce (12) | ciphertext and tag``. The first key seals, every key
opens. ``context`` is bound in: a value moved to another row does not open there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SETTING = "TRACKLAYER_SECRET_KEY"

_VERSION = b"\x01"
_NONCE = 12  # bytes, as NIST SP 800-38D recommends for GCM


_AT_ONCE = 256  # nonces: a call of the system for each took a quarter of the time of sealing
_nonces: list[bytes] = []
os.register_at_fork(after_in_child=_nonces.clear)  # none is ever used twice


def _nonce() -> bytes:
    """Random bytes that nobody else has. Safe in several threads: each takes another one off the list."""
    try:
        return _nonces.pop()
    except IndexError:
        found = os.urandom(_NONCE * _AT_ONCE)
        _nonces.extend(found[at : at + _NONCE] for at in range(_NONCE, len(found), _NONCE))
        return found[:_NONCE]


class SealError(Exception):
    """The value was sealed with a key this process does not have, or was tampered with. ``key_id``: of the key that it lacks."""

    def __init__(self, message: str, key_id: bytes | None = None) -> None:
        super().__init__(message)
        self.key_id = key_id


@lru_cache(maxsize=16)
def _stretch(key: str) -> bytes:
    """32 bytes from an operator's key. Slow on purpose (RFC 7914), for operators who took a word for a key."""
    return hashlib.scrypt(key.encode(), salt=b"tracklayer sealing key", n=2**14, r=8, p=1, dklen=32)


class Sealer:
    """``keys``: the operator's secret keys as text, newest first, at least one. ``key_ids``: 4 bytes of each, no secret.

    ``source``: where the keys are, as an operator knows it.
    """

    def __init__(self, keys: Sequence[str], source: str = SETTING) -> None:
        self.source = source
        secrets = [_stretch(key) for key in keys]
        self._ciphers = {hashlib.sha256(secret).digest()[:4]: AESGCM(secret) for secret in secrets}
        self.newest = next(iter(self._ciphers))
        self.key_ids = frozenset(self._ciphers)

    def seal(self, plain: bytes, context: str, key_id: bytes | None = None) -> bytes:
        """With the newest key, or with the one of ours that is named."""
        key_id = key_id or self.newest
        nonce = _nonce()
        return _VERSION + key_id + nonce + self._ciphers[key_id].encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes | memoryview, context: str) -> bytes:
        """The plain bytes. Raises SealError."""
        sealed = bytes(sealed)
        cipher = self._ciphers.get(sealed[1:5])
        if sealed[:1] != _VERSION or cipher is None:
            raise SealError(f"sealed with a key that is not in {self.source}", sealed[1:5])
        try:
            return cipher.decrypt(sealed[5 : 5 + _NONCE], sealed[5 + _NONCE :], context.encode())
        except (InvalidTag, ValueError):
            raise SealError("a sealed value does not open: it was changed or moved") from None
