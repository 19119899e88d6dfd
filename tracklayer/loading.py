"""Loads modules of others when they are wanted: what one command alone needs would make each of them start later."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from typing import Any


def load(name: str) -> Any:
    """A module of others, loaded now; the statement would load it with this one."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(name)
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
