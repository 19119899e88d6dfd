"""Messages for Slack and for those that took its form over: whole bodies, and within Slack's bounds."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from tracklayer.services.slack import GREEN, RED, YELLOW, slack_body, takes_blocks

ALERT: dict[str, Any] = {
    "state": "open",
    "severity": "critical",
    "title": "Meta is down",
    "message": "Nothing <arrives> & <!channel> waits.",
    "details": {"since": "2026-11-20T15:00:00+00:00", "failures": 20, "share": 0.25, "list": [1], "nothing": None},
    "opened_at": "2026-11-20T15:00:00Z",
    "resolved_at": None,
    "url": "https://tracklayer.example/notifications/x",
}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", True),
        ("https://chat.example.com/hooks/abc", False),
        ("https://example.com/mattermost/hooks/abc", False),
        ("https://discord.com/api/webhooks/1/x/slack", False),
    ],
)
def test_blocks_go_where_they_are_shown(url: str, expected: bool) -> None:
    assert takes_blocks(url) is expected


def test_the_older_form_says_the_same() -> None:
    assert slack_body("alert.opened", "Shop", {"alert": ALERT}, "https://tracklayer.example", blocks=False) == {
        "text": "Meta is down - Shop",
        "attachments": [
            {
                "color": RED,
                "fallback": "Meta is down - Shop",
                "title": "Meta is down",
                "title_link": "https://tracklayer.example/notifications/x",
                "text": "Nothing &lt;arrives&gt; &amp; &lt;\u200b!channel&gt; waits.",
                "fields": [
                    {"title": "since", "value": "2026-11-20 15:00:00 UTC", "short": True},
                    {"title": "failures", "value": "20", "short": True},
                    {"title": "share", "value": "0.25", "short": True},
                ],
            }
        ],
    }


def test_blocks_stand_alone() -> None:
    """Slack refuses an attachment that has blocks and older fields, but for its colour and fallback."""
    (attachment,) = slack_body("alert.opened", "Shop", {"alert": ALERT}, "")["attachments"]
    assert attachment.keys() == {"color", "fallback", "blocks"}


@pytest.mark.parametrize(
    ("kind", "changes", "color", "text"),
    [
        ("alert.opened", {"severity": "warning"}, YELLOW, "Meta is down - Shop"),
        ("alert.reminder", {}, RED, "Still open: Meta is down - Shop"),
        ("alert.resolved", {"state": "resolved"}, GREEN, "Resolved: Meta is down - Shop"),
    ],
)
def test_its_colour_is_the_alerts(kind: str, changes: dict[str, Any], color: str, text: str) -> None:
    body = slack_body(kind, "Shop", {"alert": {**ALERT, **changes}}, "")
    assert (body["attachments"][0]["color"], body["text"]) == (color, text)


def test_an_event_leads_to_the_list() -> None:
    data = {"message": "Meta is held.", "platform": "meta", "reason": None}
    (attachment,) = slack_body("destination.held", "Shop", data, "https://tracklayer.example", blocks=False)[
        "attachments"
    ]
    assert attachment["title_link"] == "https://tracklayer.example/notifications"
    assert (attachment["color"], attachment["title"], attachment["text"]) == (RED, "Destination held", "Meta is held.")
    assert attachment["fields"] == [{"title": "platform", "value": "meta", "short": True}]


def test_nothing_is_longer_than_slack_takes() -> None:
    long = {
        **ALERT,
        "title": "t" * 500,
        "message": "m" * 9000,
        "details": {f"figure_{n}": "v" * 900 for n in range(40)},
    }
    blocks = slack_body("alert.opened", "S" * 500, {"alert": long}, "")["attachments"][0]["blocks"]
    assert len(blocks[0]["text"]["text"]) == 150
    assert len(blocks[1]["text"]["text"]) == 3000
    assert len(blocks[2]["fields"]) == 10
    assert all(len(field["text"]) <= 2000 for field in blocks[2]["fields"])


def test_what_escaping_makes_longer_is_cut_afterwards() -> None:
    """Slack answers 400 to a longer text, and whatever waits behind it waits longer."""
    names = ", ".join("&" * 250 for _ in range(5))
    data = {"alert": {**ALERT, "title": names, "message": names, "details": {f"<{n}>{names}": names for n in range(9)}}}
    body = slack_body("alert.opened", names, data, "")
    header, section, figures, context, _ = body["attachments"][0]["blocks"]
    texts = [section["text"]["text"], body["text"], *[field["text"] for field in figures["fields"]]]
    assert [len(text) <= most for text, most in zip(texts, (3000, 1000, *[2000] * 9), strict=False)] == [True] * 11
    assert len(section["text"]["text"]) > 2990
    for text in texts:
        assert re.sub(r"&(?:amp|lt|gt);", "", text).count("&") == 0
    assert header["text"]["text"] == "&" * 29 + "…"  # 150, were each "&" written as an entity
    assert len(context["elements"][0]["text"]) <= 300
    (older,) = slack_body("alert.opened", names, data, "", blocks=False)["attachments"]
    parts = [older["title"], older["text"], *[field[key] for field in older["fields"] for key in ("title", "value")]]
    assert sum(map(len, parts)) <= 6000
    assert len(older["title"]) <= 256


@pytest.mark.parametrize("blocks", [True, False])
def test_no_text_makes_a_link(blocks: bool) -> None:
    """Names are what came with events, and platforms' words are theirs: the one link leads to the alert."""
    link = (
        "https://evil.example/a?b=1&c=2|d> [sign in](https://evil.example) [it]: http://evil.example WWW.evil.example"
    )
    alert = {**ALERT, "title": link, "message": link, "details": {link: link}}
    body = slack_body("alert.opened", link, {"alert": alert}, "", blocks=blocks)
    taken_as_it_stands, others, links = list[str](), list[str](), list[str]()

    def sort(value: Any, name: str = "") -> None:
        if isinstance(value, dict) and value.get("verbatim"):
            taken_as_it_stands.append(value["text"])
        elif isinstance(value, dict | list):
            for key, one in value.items() if isinstance(value, dict) else enumerate(value):
                sort(one, str(key))
        elif isinstance(value, str):
            (links if name in ("url", "title_link") else others).append(value)

    sort(body)
    assert links == [ALERT["url"]]
    assert re.findall(r"://|\]\(|\]:|www\.", "\n".join(others), re.IGNORECASE) == []
    assert len(taken_as_it_stands) == (3 if blocks else 0)
    if blocks:  # where Slack makes links of nothing but what stands between these
        assert taken_as_it_stands[0] == link.replace("&", "&amp;").replace(">", "&gt;")


@pytest.mark.parametrize("blocks", [True, False])
def test_no_text_calls_everybody(blocks: bool) -> None:
    """Discord, Mattermost and Rocket.Chat know @everyone, @channel, @all and @here; Slack and Discord <!everyone>, too."""
    calls = "@everyone @here @channel @all <!everyone> <!here|here> <@U123> <@&9>"
    alert = {**ALERT, "title": calls, "message": calls, "details": {calls: calls}}
    sent = json.dumps(slack_body("alert.opened", calls, {"alert": alert}, "", blocks=blocks), ensure_ascii=False)
    assert re.findall(r"@(?!\u200b)", html.unescape(sent)) == []
    assert re.findall(r"<!", html.unescape(sent)) == []
