"""Wake-ups: each body is a few lines that call one service. A message carries ids, never a payload."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# How anybody outside this room asks for work: wake({(merchant id, platform), ...}). Never blocks, never fails: a
# wake-up that is lost is found by the sweep.
Wake = Callable[[Iterable[tuple[int, str]]], None]
