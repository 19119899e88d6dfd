"""The guide's platform, added to a copy of the house as the guide says: the tests of every platform pass for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import tracklayer
from tracklayer.mappers import PLATFORMS, mapper_for
from tracklayer.sandbox import platforms

HOUSE = Path(tracklayer.__file__).parent
TESTS = Path(__file__).parent.parent
GUIDE = (HOUSE / "web" / "docs" / "new-platform.md").read_text("utf-8")
OF_ONE = {f"test_{key}.py" for key in PLATFORMS}  # a platform's own examples
HELD_TO = [
    path for path in (TESTS / "mappers").glob("*.py") if path.name not in OF_ONE and path.name != Path(__file__).name
]
PAGE = """# Acme Ads

`pixel_id`, `access_token`, `default_country`, `default_currency`, `default_page_url`, `require_consent`.

## What has no place

- `user_data`: `phone`, `phones`, `first_name`, `last_name`, `date_of_birth`, `gender`, `street`, `city`, `state`, `zip`, `country`,
  `external_id`, `client_ip`, `client_user_agent`, `lead_id`, `job_title`, `company_name`
- `custom_data`: `order_id`, `product_ids`, `contents`, `num_items`, `content_name`, `content_category`, `content_type`,
  `search_string`, `status`, `predicted_ltv`
- `device`: all of it
- `consent`: `ad_personalization`, `limited_data_use`
- of the event itself: `action_source`, `event_source_url`

## Deduplication

Two events with the same id and name within two days are counted once.
"""


def test_the_platform_of_the_guide_passes_what_every_platform_is_held_to(tmp_path: Path) -> None:
    (sample,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    left_out = shutil.ignore_patterns("__pycache__", "static", "ui", "*.png")
    shutil.copytree(HOUSE, tmp_path / "tracklayer", ignore=left_out)
    (tmp_path / "tests" / "mappers").mkdir(parents=True)
    for name in ("__init__.py", "conftest.py", "drawing.py", "factories.py", "servers.py"):
        if (TESTS / name).exists():
            shutil.copy(TESTS / name, tmp_path / "tests" / name)
    for path in HELD_TO:
        shutil.copy(path, tmp_path / "tests" / "mappers" / path.name)
    mappers = tmp_path / "tracklayer" / "mappers"
    (mappers / "acme.py").write_text(sample, "utf-8")
    (mappers / "acme.md").write_text(PAGE, "utf-8")
    word = (mappers / "__init__.py").read_text("utf-8").replace('    "meta",\n', '    "meta",\n    "acme",\n', 1)
    (mappers / "__init__.py").write_text(word, "utf-8")
    (tmp_path / "tests" / "mappers" / "test_acme.py").write_text('"""Its table of examples."""\n', "utf-8")
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "acme", "tests/mappers"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    passed = re.search(r"(\d+) passed", ended.stdout)
    assert passed is not None
    assert int(passed[1]) > 30
    assert "deselected" in ended.stdout


def test_what_the_guide_lists_is_there_for_every_platform() -> None:
    """What other tests do not name where it is missing: a platform of the house that nobody emulates."""
    assert set(platforms.PLATFORMS) == set(PLATFORMS)
    listed = re.findall(r"^\| `([^`]+)` \|", GUIDE, re.MULTILINE)
    for key in PLATFORMS:
        assert mapper_for(key).title
        for path in listed:
            there = HOUSE.parent / path.replace("acme", key)
            assert there.exists() or there.with_suffix("").is_dir(), there  # a large platform is a folder
