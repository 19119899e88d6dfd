"""``purge()``: what is past its merchant's retention goes."""

from __future__ import annotations

import logging

from tracklayer.runtime import Runtime
from tracklayer.services.alone import alone
from tracklayer.services.erase import purge_erasures
from tracklayer.services.privacy import (
    forget_refused,
    purge_alert_history,
    purge_expired,
    purge_redeliveries,
    purge_secrets,
)
from tracklayer.services.sign_in import purge_sign_ins

log = logging.getLogger(__name__)


def purge(runtime: Runtime) -> None:
    with alone(runtime, "purging events"):
        gone = purge_expired(runtime)
        if gone:
            log.info("purged %d events past their retention", gone)
    with alone(runtime, "forgetting links of browsers that refused"):
        forget_refused(runtime)
    purge_alert_history(runtime)
    with alone(runtime, "purging redeliveries"):
        purge_redeliveries(runtime)
    with alone(runtime, "purging erasures"):
        purge_erasures(runtime)
    with alone(runtime, "purging sessions"):
        purge_sign_ins(runtime)
    with alone(runtime, "forgetting secrets of removed destinations"):
        purge_secrets()
