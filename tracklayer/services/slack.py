"""Messages in the form of Slack's incoming webhooks, which Mattermost and Discord (at ``/slack``) take as well. Pure.

Source: docs.slack.dev, "Sending messages using incoming webhooks", "Secondary message attachments" and "Block Kit".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RED, YELLOW, GREEN, GREY = "#c0392b", "#e0a800", "#2e8b57", "#6b7280"
MAX_TITLE = 150  # characters of a header block
MAX_TEXT = 2900  # of a section: Slack takes 3,000, and escaping makes some characters longer
MAX_FIELDS = 10
MAX_FIELD = 300
_EVENTS = {
    "destination.held": (RED, "Destination held"),
    "destination.resumed": (GREEN, "Destination resumed"),
    "delivery.dropped": (YELLOW, "Deliveries dropped"),
    "redelivery.finished": (GREEN, "Redelivery finished"),
    "test": (GREY, "Test of this channel"),
}


def slack_body(kind: str, merchant_name: str, data: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    """``{"text", "attachments": [{"color", "fallback", "blocks"}]}``: of an alert, an event or a test."""
    alert = data.get("alert")
    if isinstance(alert, Mapping):
        color, title, message, figures, link = _of_alert(kind, alert)
    else:
        color, title = _EVENTS.get(kind, (GREY, kind))
        message = str(data.get("message") or "")
        figures, link = _figures(data), f"{public_url}/notifications"
    text = f"{title} - {merchant_name}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, MAX_TITLE), "emoji": False}}
    ]
    if message:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": escaped(_cut(message, MAX_TEXT))}})
    if figures:
        fields = [
            {"type": "mrkdwn", "text": f"*{escaped(_cut(name, 80))}*\n{escaped(_cut(value, MAX_FIELD))}"}
            for name, value in figures[:MAX_FIELDS]
        ]
        blocks.append({"type": "section", "fields": fields})
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": _cut(merchant_name, MAX_TEXT)}]})
    button = {"type": "button", "text": {"type": "plain_text", "text": "Look at it"}, "url": link}
    blocks.append({"type": "actions", "elements": [button]})
    return {
        "text": escaped(_cut(text, MAX_TEXT)),
        "attachments": [{"color": color, "fallback": escaped(_cut(text, MAX_TEXT)), "blocks": blocks}],
    }


def _of_alert(kind: str, alert: Mapping[str, Any]) -> tuple[str, str, str, list[tuple[str, str]], str]:
    resolved = alert.get("state") == "resolved"
    title = str(alert.get("title") or "")
    if resolved:
        color, title = GREEN, f"Resolved: {title}"
    else:
        color = RED if alert.get("severity") == "critical" else YELLOW
        title = f"Still open: {title}" if kind == "alert.reminder" else title
    details = alert.get("details")
    figures = [("since", _instant(alert.get("opened_at")))]
    if resolved:
        figures.append(("until", _instant(alert.get("resolved_at"))))
    if isinstance(details, Mapping):
        figures += _figures(details)
    message = str(alert.get("message") or "")
    if resolved and message:
        message = f"It is over. What was seen last: {message}"
    return color, title, message, figures, str(alert.get("url") or "")


def _figures(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The plain ones among the figures: lists and objects are for programs."""
    return [
        (name.replace("_", " "), f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in details.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool) and name != "message"
    ]


def _instant(value: Any) -> str:
    return str(value or "")[:19].replace("T", " ") + " UTC"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def escaped(text: str) -> str:
    """Slack's three control characters, so that no text makes a link or calls everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
