"""The operator's troubles, not a merchant's: what may be wrong with the installation itself, by kind.

Which of them there are is judged in ``watch``, and so is what is said of each.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tracklayer.domain.alert import Severity

ROLE_NAMES = {"api": "API process", "worker": "worker", "scheduler": "scheduler"}
NO_ROLE = {"api": "no_api", "worker": "no_worker", "scheduler": "no_scheduler"}
KEEPS_DYING = {"api": "api_keeps_dying", "worker": "worker_keeps_dying", "scheduler": "scheduler_keeps_dying"}
BROKER_KIND = "broker_takes_nothing"
OLD_QUEUE = "old_queue"
JOBS_LATE = "jobs_late"
WRONG_KEY = "wrong_key"
MIGRATIONS = "migrations_lacking"
DATABASE_AWAY = "database_away"
DATABASE_FULL = "database_full"
DATABASE_READ_ONLY = "database_read_only"
SANDBOX = "sandbox_left_set"
NO_SANDBOX = "sandbox_missing"
CLOCK_OFF = "clock_off"
NO_FILES = "no_files"
MAILS_FAIL = "mails_fail"
WEBHOOKS_FAIL = "webhooks_fail"
PLATFORM_DOWN = "platform_down"  # with the platform's key behind a colon: of each one alert may be open
KINDS = (
    *NO_ROLE.values(),
    *KEEPS_DYING.values(),
    BROKER_KIND,
    OLD_QUEUE,
    JOBS_LATE,
    WRONG_KEY,
    MIGRATIONS,
    DATABASE_AWAY,
    DATABASE_FULL,
    DATABASE_READ_ONLY,
    SANDBOX,
    NO_SANDBOX,
    CLOCK_OFF,
    NO_FILES,
    MAILS_FAIL,
    WEBHOOKS_FAIL,
    PLATFORM_DOWN,
)


@dataclass(frozen=True)
class Trouble:
    """``kind``: one is open at a time of each. ``since``: as far as it is known."""

    kind: str
    severity: Severity
    title: str
    message: str
    since: datetime

    @property
    def is_critical(self) -> bool:
        return self.severity is Severity.CRITICAL


def process_on(host: str, roles: Collection[str]) -> str:
    """``The worker on a``; of one that has several roles, ``The process on a``."""
    [role] = roles if len(roles) == 1 else ["process"]
    return f"The {ROLE_NAMES.get(role, role)} on {host}"
