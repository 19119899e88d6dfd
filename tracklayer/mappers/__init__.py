"""Every platform TrackLayer delivers to. A new one is a file beside this one and a word in ``PLATFORMS``; what goes with them,
web/docs/new-platform.md lists.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType

from tracklayer.mappers.base import Mapper

PLATFORMS: tuple[str, ...] = (
    "meta",
    "tiktok",
    "google_ads",
    "ga4",
    "pinterest",
    "snapchat",
    "linkedin",
    "reddit",
    "microsoft_ads",
    "x_ads",
)

_MAPPERS: MappingProxyType[str, Mapper] = MappingProxyType(
    {key: import_module(f"tracklayer.mappers.{key}").MAPPER for key in PLATFORMS}
)


def mapper_for(platform: str) -> Mapper:
    """The mapper of a platform key. Raises KeyError for a key that is not in ``PLATFORMS``."""
    return _MAPPERS[platform]


def title_of(platform: str) -> str:
    """A platform's name in a sentence; of a key that this version does not know, the key."""
    return _MAPPERS[platform].title if platform in _MAPPERS else platform
