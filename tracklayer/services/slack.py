"""Messages in the form of Slack's incoming webhooks, and of those that took it over: Mattermost, Rocket.Chat, Discord. Pure.

Slack shows blocks; the others know the older fields of an attachment only, and Slack refuses an attachment that has both.
Source: docs.slack.dev, "Sending messages using incoming webhooks", "Secondary message attachments" and "Block Kit";
"Formatting message text" (``verbatim``); slackapi/node-slack-sdk issue 1112; Discord's "Message Resource", Embed Limits; read 2026-11-28.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tracklayer.domain.alert import over

RED, YELLOW, GREEN, GREY = "#c0392b", "#e0a800", "#2e8b57", "#6b7280"
# Characters, each as it is sent: escaping makes some of them longer.
MAX_LINE = 1000  # of what a notification shows; Discord takes 2,000
MAX_TITLE = 150  # of a header block; Discord takes 256 of a title
MAX_TEXT = 3000  # of a section
MAX_PLAIN_TEXT = 1900  # without blocks: Discord takes 6,000 of title, text and fields together
MAX_FIELDS = 10
MAX_NAME, MAX_FIELD = 80, 300  # of a field, where Slack takes 2,000 of both; of the merchant's name
NOTHING = "\u200b"  # a space without width: what it parts is read by people as it was, and by no program
# `https://...`, `[words](https://...)` and `www.shop.example`: within these.
_LINKS = re.compile(r"(?<=:)(?=//)|(?<=\])(?=[(\[:])|(?<=\bwww)(?=\.)", re.IGNORECASE)
_EVENTS = {
    "destination.held": (RED, "Destination held"),
    "destination.resumed": (GREEN, "Destination resumed"),
    "delivery.dropped": (YELLOW, "Deliveries dropped"),
    "redelivery.finished": (GREEN, "Redelivery finished"),
    "test": (GREY, "Test of this channel"),
}


def takes_blocks(url: str) -> bool:
    """False for the addresses of Mattermost and Rocket.Chat (``/hooks/...``) and of Discord (``.../slack``)."""
    path = urlsplit(url).path
    return "/hooks/" not in path and not path.rstrip("/").endswith("/slack")


def slack_body(
    kind: str, merchant_name: str, data: Mapping[str, Any], public_url: str, *, blocks: bool = True
) -> dict[str, Any]:
    """``{"text", "attachments": [...]}`` of an alert, an event or a test: one attachment with a colour, of blocks or of fields."""
    alert = data.get("alert")
    if isinstance(alert, Mapping):
        color, title, message, figures, link = _of_alert(kind, alert)
    else:
        color, title = _EVENTS.get(kind, (GREY, kind))
        message = str(data.get("message") or "")
        figures, link = _figures(data), f"{public_url}/notifications"
    text = linkless(f"{title} - {merchant_name}", MAX_LINE)
    text_of = escaped if blocks else linkless
    shown = [(text_of(name, MAX_NAME), text_of(value, MAX_FIELD)) for name, value in figures[:MAX_FIELDS]]
    attachment: dict[str, Any] = {"color": color, "fallback": text}
    if blocks:
        attachment["blocks"] = _blocks(title, escaped(message, MAX_TEXT), shown, merchant_name, link)
    else:
        fields = [{"title": name, "value": value, "short": len(value) < 40} for name, value in shown]
        attachment |= {"title": linkless(title, MAX_TITLE), "title_link": link}
        attachment |= {"text": linkless(message, MAX_PLAIN_TEXT), "fields": fields}
    return {"text": text, "attachments": [attachment]}


def _blocks(
    title: str, message: str, figures: Sequence[tuple[str, str]], merchant_name: str, link: str
) -> list[dict[str, Any]]:
    head = {"type": "plain_text", "text": plain(title, MAX_TITLE), "emoji": False}
    blocks: list[dict[str, Any]] = [{"type": "header", "text": head}]
    if message:
        blocks.append({"type": "section", "text": _as_it_stands(message)})
    if figures:
        fields = [_as_it_stands(f"*{name}*\n{value}") for name, value in figures]
        blocks.append({"type": "section", "fields": fields})
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": plain(merchant_name, MAX_FIELD)}]})
    button = {"type": "button", "text": {"type": "plain_text", "text": "Look at it"}, "url": link}
    return [*blocks, {"type": "actions", "elements": [button]}]


def _as_it_stands(text: str) -> dict[str, Any]:
    """Of which Slack makes no link by itself."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


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
        message = over(message)
    return color, title, message, figures, str(alert.get("url") or "")


def _figures(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The plain ones among the figures: lists and objects are for programs."""
    return [
        (name.replace("_", " "), f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in details.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool) and name not in ("message", "since")
    ]


def _instant(value: Any) -> str:
    return str(value or "")[:19].replace("T", " ") + " UTC"


def escaped(text: str, most: int) -> str:
    """Text that calls nobody, and makes no link where it is taken as it stands; at most ``most`` characters of it as it is sent.

    Slack's three control characters are written as entities. What the others read as a call for everybody, or what is one
    again once they have read the entities, is parted.
    """
    whole = _escaped(text)
    if len(whole) <= most:
        return whole
    cut = whole[: most - 1]
    if cut.rfind("&") > cut.rfind(";"):
        cut = cut[: cut.rfind("&")]  # in the midst of an entity
    return cut + "…"


def linkless(text: str, most: int) -> str:
    """The same where it is not taken as it stands: what makes an address, or words that lead to one, is parted."""
    return escaped(_LINKS.sub(NOTHING, text), most)


def plain(text: str, most: int) -> str:
    """``linkless`` for Slack's plain text, which has no entities: whether Slack counts them or not, it is short enough."""
    text = _LINKS.sub(NOTHING, text)
    if len(_escaped(text)) <= most:
        return _parted(text)
    text = text[: most - 1]
    while len(_escaped(text)) > most - 1:
        text = text[:-1]
    return _parted(text) + "…"


def _escaped(text: str) -> str:
    return _parted(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _parted(text: str) -> str:
    return text.replace("@", f"@{NOTHING}").replace("<!", f"<{NOTHING}!")
