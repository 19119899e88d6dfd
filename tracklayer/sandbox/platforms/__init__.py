"""The platforms that are emulated; the key is the file name and the first segment of the sandbox's paths."""

from __future__ import annotations

from collections.abc import Mapping

from tracklayer.sandbox.platforms import (
    ga4,
    google_ads,
    linkedin,
    meta,
    microsoft_ads,
    pinterest,
    reddit,
    snapchat,
    tiktok,
    x_ads,
)
from tracklayer.sandbox.platforms.base import Platform

PLATFORMS: Mapping[str, Platform] = {
    "meta": meta.PLATFORM,
    "tiktok": tiktok.PLATFORM,
    "google_ads": google_ads.PLATFORM,
    "ga4": ga4.PLATFORM,
    "pinterest": pinterest.PLATFORM,
    "snapchat": snapchat.PLATFORM,
    "linkedin": linkedin.PLATFORM,
    "reddit": reddit.PLATFORM,
    "microsoft_ads": microsoft_ads.PLATFORM,
    "x_ads": x_ads.PLATFORM,
}
