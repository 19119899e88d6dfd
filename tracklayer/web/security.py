"""What browsers are told of the dashboard's pages: nothing runs or loads but files of ours, and nobody frames them.

``PAGE_HEADERS``: of the dashboard. ``GRAPHIQL_HEADERS``: of GraphiQL, whose libraries know no Trusted Types.
"""

from __future__ import annotations

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
PAGE_HEADERS = {"content-security-policy": "; ".join((*_POLICY, *_TRUSTED_TYPES)), **_OTHERS}
GRAPHIQL_HEADERS = {"content-security-policy": "; ".join(_POLICY), **_OTHERS}
