"""The platforms that are emulated; the key is the file name and the first segment of the sandbox's paths."""

from __future__ import annotations

from collections.abc import Mapping

from tracklayer.sandbox.platforms import meta
from tracklayer.sandbox.platforms.base import Platform

PLATFORMS: Mapping[str, Platform] = {
    "meta": meta.PLATFORM,
}
