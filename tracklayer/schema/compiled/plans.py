"""The plans of a schema: which texts are compiled, and for how long a plan is kept."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import strawberry
from graphql import DocumentNode

from tracklayer.schema.compiled.coercion import Inputs
from tracklayer.schema.compiled.projection import Compiler
from tracklayer.schema.compiled.running import Plan
from tracklayer.schema.compiled.source import NotCompiledError

log = logging.getLogger(__name__)

MAX_PLANS = 500  # documents: an application has a few dozen
MAX_TEXT = 16 * 1024  # characters: a longer document is executed, not compiled


class Plans:
    """The plans of one schema by text and operation name, the most recently used ones.

    A plan is made when a text is seen the second time: whoever sends ever new texts pays for no compilation here, and
    pushes no plan out. ``check`` parses and validates a text as the schema does; None for one that it refuses.
    """

    def __init__(
        self, schema: strawberry.Schema, check: Callable[[str], DocumentNode | None], size: int = MAX_PLANS
    ) -> None:
        self._schema = schema
        self._check = check
        self._size = size
        self._inputs = Inputs()
        self._plans: OrderedDict[tuple[str, str | None], Plan | None] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()

    def find(self, text: str, operation_name: str | None) -> Plan | None:
        """The plan of an operation, or None: then the stock executor answers."""
        key = (text, operation_name)
        if key in self._plans:
            self._plans.move_to_end(key)
            return self._plans[key]
        if len(text) > MAX_TEXT:
            return None
        seen = hash(key)  # a text of somebody's choice is not kept; two that share a hash are compiled a little early
        if seen not in self._seen:
            self._seen[seen] = None
            _shrink(self._seen, self._size)
            return None
        del self._seen[seen]
        self._plans[key] = found = self._compile(text, operation_name)
        _shrink(self._plans, self._size)
        return found

    def __len__(self) -> int:
        return len(self._plans)

    def _compile(self, text: str, operation_name: str | None) -> Plan | None:
        document = self._check(text)
        if document is None:
            return None
        try:
            return Compiler(self._schema, self._inputs, document, operation_name).plan()
        except NotCompiledError:
            return None
        except Exception:  # whatever is wrong with the compiler, the stock executor can answer
            log.exception("an operation could not be compiled")
            return None


def _shrink(cache: OrderedDict[Any, Any], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)
