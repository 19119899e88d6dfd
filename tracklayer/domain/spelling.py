"""Names of the data model in the spelling of the API: ``order_id`` is ``orderId`` there."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def camel(name: str) -> str:
    """One name: ``orderId``."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def spelt(path: str) -> str:
    """A path with dots: ``customData.currency``. What stands below ``properties`` is the sender's."""
    head, dot, own = path.partition(".properties.")
    return ".".join(camel(part) for part in head.split(".")) + (dot and f".properties.{own}")
