"""Whatever JSON stands in the settings of a destination: it is refused with a sentence, or an event can be mapped with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.factories import draft
from tracklayer.domain.problem import CODES
from tracklayer.domain.text import is_storable_json
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.services.destinations import check_settings, example_settings
from tracklayer.services.preview import prepare, preview

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CANARY = "kanarie"
ODD: list[Any] = [
    CANARY,
    f"{CANARY}\x00",
    f"\u202e{CANARY}",
    "\ud83d",
    " ",
    f" {CANARY} ",
    "9" * 5000,
    CANARY * 5000,
    0,
    -1,
    2**70,
    1.5,
    float("inf"),
    True,
    False,
    [],
    [CANARY],
    [[None]],
    {},
    {CANARY: CANARY},
    {CANARY: None},
    {CANARY: [1, {}]},
    {"*": {}},
    {"*": 1},
    {"Purchase": True},
    {"": ""},
    {"Purchase": "\x00"},
    {"\x00": "1"},
    {"Purchase\ud83d": "1", "*": "123"},
    {"Purchase\x00": "AW-1/abc", "*": "123456789"},
    {"a\x00": "tw-abc12-def34"},
    {"a\x00": "custom"},
    {"a\x00": "PURCHASE"},
    {f"k{n}": "1" for n in range(3000)},
]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_setting_is_a_fault_of_ours(platform: str) -> None:
    mapper = mapper_for(platform)
    example = example_settings(mapper)
    for setting in mapper.settings:
        for odd in ODD:
            settings = {**example, setting.name: odd}
            problems = check_settings(mapper, settings)
            for problem in problems:
                assert problem.code in CODES
                assert CANARY not in problem.message
            assert problems or is_storable_json(settings), (setting.name, odd)
            for name in ("Purchase", "Lead", CANARY):
                preview(draft(event_name=name), prepare(platform, settings), NOW)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_name_of_a_setting_is_a_fault_of_ours(platform: str) -> None:
    mapper = mapper_for(platform)
    names: list[Any] = ["\x00", "", "x" * 100_000, "\ud83d", "__class__", "*"]
    for name in names:
        assert [problem.code for problem in check_settings(mapper, {**example_settings(mapper), name: 1})] == [
            "UNKNOWN_FIELD"
        ]
