"""For how long each platform recognises a copy of an event, as its sheet and page say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tracklayer.domain.event import ACTION_SOURCES
from tracklayer.mappers import PLATFORMS, mapper_for

TWO_DAYS = timedelta(hours=48)


@pytest.mark.parametrize(
    ("platform", "name", "source", "memory"),
    [
        ("meta", "Purchase", "website", None),
        ("tiktok", "Lead", "website", TWO_DAYS),
        ("google_ads", "Lead", "website", timedelta.max),
        ("ga4", "Purchase", "website", timedelta.max),
        ("ga4", "purchase", "website", timedelta.max),
        ("ga4", "Lead", "website", None),
        ("ga4", "Refund", "website", None),
        ("pinterest", "Purchase", "website", TWO_DAYS),
        ("pinterest", "Purchase", "app", TWO_DAYS),
        ("pinterest", "Purchase", "physical_store", None),
        ("pinterest", "Purchase", "phone_call", None),
        ("snapchat", "Purchase", "website", timedelta(hours=24)),
        ("linkedin", "Purchase", "website", None),
        ("reddit", "Purchase", "website", TWO_DAYS),
        ("microsoft_ads", "Purchase", "website", None),
        ("x_ads", "Purchase", "website", None),
    ],
)
def test_what_a_platform_remembers_of_an_event(platform: str, name: str, source: str, memory: timedelta | None) -> None:
    assert mapper_for(platform).copy_memory(name, source) == memory


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_answers_for_every_kind_of_event(platform: str) -> None:
    for name in ("Purchase", "Lead", "a name of one's own"):
        for source in ACTION_SOURCES:
            memory = mapper_for(platform).copy_memory(name, source)
            assert memory is None or memory > timedelta(0)
