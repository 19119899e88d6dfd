"""The plans of a schema: which texts are compiled, for whom, and for how long a plan is kept."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

import strawberry
from graphql import DocumentNode

from tracklayer.schema.compiled.coercion import Inputs
from tracklayer.schema.compiled.projection import Compiler
from tracklayer.schema.compiled.running import Plan
from tracklayer.schema.compiled.source import NotCompiledError
from tracklayer.schema.cost import Measured

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024 * 1024  # of all plans: some hundred applications with a dozen documents each
SHARE = 8  # no owner has more than this part of it
MAX_TEXT = 16 * 1024  # characters: a longer document is executed, not compiled
MAX_NAME = 256  # characters of an operation's name
MAX_SEEN = 100  # texts of an owner that were seen once
MAX_OWNERS = 10_000  # whose texts are remembered
_BARE = 512  # bytes of an entry, besides its text, of a document that has no plan

Key = tuple[str, str | None]  # text and operation name


class Checked(NamedTuple):
    """A document that may be executed, and what was measured of the operation that is meant."""

    document: DocumentNode
    measured: Measured


@dataclass(slots=True)
class _Kept:
    plan: Plan | None  # None: this document is not compiled
    owner: Hashable
    size: int


@dataclass(slots=True)
class _Owner:
    """Who sent a text the second time: its plan counts as theirs, whoever else uses it."""

    seen: OrderedDict[int, None] = field(default_factory=OrderedDict)
    keys: OrderedDict[Key, None] = field(default_factory=OrderedDict)  # the most recently used ones last
    size: int = 0


def _nothing(text: str) -> None:
    """Nobody has to pay."""


class Plans:
    """The plans by text and operation name, the most recently used ones, counted in bytes.

    A plan is made when an owner sends a text the second time: whoever sends ever new texts pays for no compilation here.
    Everybody uses a plan that is there. Where an owner has too much of the room, or there is too little of it, plans go
    of whoever has most: nobody pushes out another's.

    ``check`` parses, measures and validates a text as the schema does; None for one that it refuses.
    """

    def __init__(
        self,
        schema: strawberry.Schema,
        check: Callable[[str, str | None], Checked | None],
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._schema = schema
        self._check = check
        self._max_bytes = max_bytes
        self._inputs = Inputs(schema)
        self._lock = threading.Lock()
        self._making = threading.Lock()  # one at a time: what is made for a type serves all
        self._kept: dict[Key, _Kept] = {}
        self._owners: OrderedDict[Hashable, _Owner] = OrderedDict()
        self.size = 0  # bytes of all plans

    def find(
        self, owner: Hashable, text: str, operation_name: str | None, pay: Callable[[str], None] = _nothing
    ) -> Plan | None:
        """The plan of an operation, made where it is time to; or None: then the stock executor answers.

        ``pay`` is called with a text before its plan is made, and may raise what is raised here. Any thread may ask. None waits for
        another's compilation, which takes a tenth of a second.
        """
        key = (text, operation_name)
        with self._lock:
            kept = self._known(owner, key)
            if kept is not None:
                return kept.plan
            if not self._is_due(owner, key) or not self._making.acquire(blocking=False):
                return None
        try:
            pay(text)
            plan = self._compile(text, operation_name)
            with self._lock:
                self._keep(owner, key, plan)
        finally:
            self._making.release()
        return plan

    def _known(self, owner: Hashable, key: Key) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is not None:
            self._owners[kept.owner].keys.move_to_end(key)
        return kept

    def _is_due(self, owner: Hashable, key: Key) -> bool:
        """Whether this owner sends it the second time; the first time is noted."""
        text, operation_name = key
        if len(text) > MAX_TEXT or (operation_name is not None and len(operation_name) > MAX_NAME):
            return False
        own = self._owner(owner)
        seen = hash(key)  # a text of somebody's choice is not kept; two that share a hash are compiled a little early
        if seen not in own.seen:
            own.seen[seen] = None
            if len(own.seen) > MAX_SEEN:
                own.seen.popitem(last=False)
            return False
        return True

    def _keep(self, owner: Hashable, key: Key, plan: Plan | None) -> None:
        own = self._owner(owner)
        own.seen.pop(hash(key), None)
        text, operation_name = key
        size = plan.size if plan is not None else len(text) + len(operation_name or "") + _BARE
        self._kept[key] = _Kept(plan, owner, size)
        own.keys[key] = None
        own.size += size
        self.size += size
        while own.size > self._max_bytes // SHARE and len(own.keys) > 1:
            self._let_go_of_one(own)
        while self.size > self._max_bytes:
            self._let_go_of_one(max(self._owners.values(), key=lambda other: other.size))

    def __len__(self) -> int:
        return len(self._kept)

    def _owner(self, owner: Hashable) -> _Owner:
        found = self._owners.get(owner)
        if found is not None:
            self._owners.move_to_end(owner)
        else:
            found = self._owners[owner] = _Owner()
            if len(self._owners) > MAX_OWNERS:
                oldest = next(iter(self._owners))
                while self._owners[oldest].keys:
                    self._let_go_of_one(self._owners[oldest])
                del self._owners[oldest]
        return found

    def _let_go_of_one(self, own: _Owner) -> None:
        key, _ = own.keys.popitem(last=False)
        kept = self._kept.pop(key)
        own.size -= kept.size
        self.size -= kept.size
        if kept.plan is not None:
            kept.plan.close()

    def _compile(self, text: str, operation_name: str | None) -> Plan | None:
        checked = self._check(text, operation_name)
        if checked is None:
            return None
        document, measured = checked
        try:
            return Compiler(self._schema, self._inputs, text, document, measured).plan()
        except NotCompiledError:
            return None
        except Exception:  # whatever is wrong with the compiler, the stock executor can answer
            log.exception("an operation could not be compiled")
            return None
