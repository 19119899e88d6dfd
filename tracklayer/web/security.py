"""What browsers are told of the dashboard's pages: nothing runs or loads but files of ours, and nobody frames them.

``page_headers``: of the dashboard. ``GRAPHIQL_HEADERS``: of GraphiQL, whose libraries know no Trusted Types.
"""

from __future__ import annotations

import base64
import hashlib

# 'self' means WebSockets of the same origin, too, since CSP 3; no browser that knows ``Sec-Fetch-Site`` takes it otherwise.
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
_TRUSTED_TYPES = ("require-trusted-types-for 'script'", "trusted-types 'none'")
_OTHERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
GRAPHIQL_HEADERS = {"content-security-policy": "; ".join(_POLICY), **_OTHERS}


def page_headers(style: str, script: str) -> dict[str, str]:
    """Of a page that has one style and one script in itself: those very ones may stand there, and no others."""
    policy = "; ".join((*_POLICY, *_TRUSTED_TYPES))
    for kind, text in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        policy = policy.replace(f"{kind} 'self'", f"{kind} 'self' 'sha256-{digest}'")
    return {"content-security-policy": policy, **_OTHERS}
