"""Whether this process has the keys that sealed what is in the database: found out at its start, not event by event.

Each key that seals leaves a value in ``sealing_keys`` that only it opens. Of a database from before there were such
values, the secrets of its destinations say which keys it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracklayer.db import erasure_keys
from tracklayer.db import erasures as db_erasures
from tracklayer.db import sealing_keys as db
from tracklayer.db.connection import in_transaction
from tracklayer.sealing import SETTING, Sealer, SealError
from tracklayer.services.marks import renew_seals

_LOST = (
    "if it is lost for good, run `tracklayer migrate --forget-lost-keys` and set the destinations' secrets anew, and the "
    "addresses of alert channels"
)
_RESTORE = f"restore the file from a backup, or set {SETTING} to the key that it held"
WAYS_OUT = f"{_RESTORE}; {_LOST}"  # where the file of a key holds it no longer, however that went
_OF_ERASURES = {
    "mark": "the key of erasures' hashes",
    "sign": "the key that signs receipts",
    "erasure": "erasures that go on",
}
_CONTEXT = "sealing key"
_PLAIN = b"tracklayer"


class KeyLostError(Exception):
    """What is in the database was sealed with a key that this process does not have; the message says what to do."""


@dataclass(frozen=True)
class Keys:
    """``lost``: needed, and not there. ``any_fits``: what was sealed last may be opened, or nothing was sealed yet.

    ``closed``: how many destinations' secrets this process cannot open. ``others``: what else waits for what was lost, in words.
    """

    lost: frozenset[bytes]
    any_fits: bool
    closed: int
    others: tuple[str, ...] = ()


def look_at_keys(sealer: Sealer) -> Keys:
    """What this process can open. Reads only."""
    with in_transaction():
        return _look(sealer)


def has_a_key(sealer: Sealer) -> bool:
    """Whether this process opens any of what the keys left here, or there is nothing to open; and the keys of erasures, without
    which it serves nobody who erased somebody. Costs next to nothing.
    """
    with in_transaction():
        noted = db.sealing_keys()
        others = erasure_keys.keys_sealed_otherwise(sealer.newest)
    fits = not noted or any(_opens(sealer, sealed) for sealed in noted.values())
    return fits and all(row.sealed[1:5] in sealer.key_ids for row in others)


def is_sealed() -> bool:
    """Whether a key was ever used on this database."""
    with in_transaction():
        return bool(db.sealing_keys() or db.keys_of_destinations())


def confirm_keys(sealer: Sealer, now: datetime) -> None:
    """Notes this process's newest key, after a look whether it has those that are needed. Raises KeyLostError.

    With that key the keys of erasures are sealed anew, which nobody sets: so an older one can be taken away.
    """
    with in_transaction():
        found = _look(sealer)
        if not found.lost and found.any_fits and sealer.newest in db.sealing_keys():
            renew_seals(sealer)
            return
        db.lock_sealing_keys()
        found = _look(sealer)
        if found.lost or not found.any_fits:
            raise KeyLostError(advice(sealer, found.closed, found.others))
        in_use = db.keys_of_destinations().keys() | db.keys_of_channels() | db.keys_of_erasures().keys()
        needed = [key_id for key_id in in_use if key_id in sealer.key_ids]
        for key_id in {sealer.newest, *needed}:
            db.add_sealing_key(key_id, sealer.seal(_PLAIN, _CONTEXT, key_id), now)
        renew_seals(sealer)


def forget_lost_keys(sealer: Sealer, now: datetime) -> int:
    """Gives up what was sealed with keys that are gone, so that this process's keys do; how many keys those were.

    Destinations whose secrets are closed stay, and are to be given them anew. Erasures that go on end without a receipt.
    """
    with in_transaction():
        db.lock_sealing_keys()
        lost = [key_id for key_id, sealed in db.sealing_keys().items() if not _opens(sealer, sealed)]
        db.forget_sealing_keys(lost)
        erasure_keys.retire_lost_keys(sealer.key_ids, now)
        db_erasures.give_up_lost_erasures(sealer.key_ids, now)
        db.add_sealing_key(sealer.newest, sealer.seal(_PLAIN, _CONTEXT), now)
        return len(lost)


def advice(sealer: Sealer, closed: int = 0, others: Sequence[str] = ()) -> str:
    """What to do where keys are missing, one sentence. ``closed``: of how many destinations it is known that they wait;
    ``others``: what else does.
    """
    if sealer.source == SETTING:
        what = (
            f"{SETTING} lacks a key that sealed what is in this database: put that key back, behind a newer one where there "
            "is one"
        )
    else:
        what = f"{sealer.source} is not the key that sealed what is in this database: {_RESTORE}"
    whose = "1 destination" if closed == 1 else f"{closed} destinations"
    waits = [f"{whose} cannot deliver without it"] if closed else []
    waits += [f"it seals {', '.join(others)}"] if others else []
    return f"{what}; {_LOST}" + (f" ({'; '.join(waits)})" if waits else "")


def advice_of_forgotten(closed: int) -> str:
    """What to do where a key was given up, and destinations still wait for new secrets, one sentence."""
    whose = "1 destination" if closed == 1 else f"{closed} destinations"
    it = "it" if closed == 1 else "them"
    return (
        f"a key that was given up sealed the secrets of {whose}, and nothing is sent to {it}: set {'its' if closed == 1 else 'their'} "
        f"secrets anew, or, should the key be found, put it into {SETTING} behind the newest"
    )


def _look(sealer: Sealer) -> Keys:
    noted = db.sealing_keys()
    opened = {key_id for key_id, sealed in noted.items() if _opens(sealer, sealed)}
    used = db.keys_of_destinations()
    closed = sum(count for key_id, count in used.items() if key_id not in sealer.key_ids)
    if noted:
        channels, erasures = db.keys_of_channels(), db.keys_of_erasures()
        needed = used.keys() | channels | erasures.keys()
        lost = frozenset(key_id for key_id in noted.keys() & needed if key_id not in opened)
        sealed = set().union(*(erasures.get(key_id, ()) for key_id in lost))
        others = ["the addresses of alert channels"] if lost & channels else []
        others += [words for what, words in _OF_ERASURES.items() if what in sealed]
        return Keys(lost, bool(opened), closed, tuple(others))
    lost = frozenset(used) - sealer.key_ids
    return Keys(lost if len(lost) == len(used) else frozenset(), not used or len(lost) < len(used), closed)


def _opens(sealer: Sealer, sealed: bytes) -> bool:
    try:
        return sealer.open(sealed, _CONTEXT) == _PLAIN
    except SealError:
        return False
