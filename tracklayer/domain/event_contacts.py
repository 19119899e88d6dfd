"""Where an Event holds an e-mail address or a phone number in plain text in which none belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracklayer.domain.contact import holds_contact
from tracklayer.domain.event import LINE_TEXTS, NO_DEVICE, TEXT_FIELDS, Event, line_path
from tracklayer.domain.normalise import Matchable


def may_hold_more_contacts(written: bytes, draft: Mapping[str, Any], event: Event) -> bool:
    """Whether there are more signs of an address or a number than stand where they belong, or are looked for of their own."""
    if b"\xef" in written:  # the first byte of full-width signs
        return True
    person = vars(event.user_data)
    email, phone = _signs_of(person.get("email")), _signs_of(person.get("phone"))
    # Nearly every event has one address and one number in plain, and no other sign: found so, that is faster than counted.
    if b"%" not in written and _are_few(written, b"@", email.count("@")) and _are_few(written, b"+", phone.count("+")):
        return False
    own = (event.event_source_url or "") + email + phone
    if "emails" in person or "phones" in person:
        own += "".join([one.plain or "" for one in (*person.get("emails", ()), *person.get("phones", ()))])
    if type(occurred_at := draft["occurred_at"]) is str:
        own += occurred_at
    return (
        written.count(b"@") > own.count("@")
        or written.count(b"+") > own.count("+")
        or written.count(b"%") > own.count("%")
    )


def _are_few(written: bytes, sign: bytes, count: int) -> bool:
    """Whether it stands there ``count`` times, of no more than one."""
    first = written.find(sign)
    return (count == 0) if first < 0 else count == 1 and written.find(sign, first + 1) < 0


def _signs_of(one: Matchable | None) -> str:
    """A digest has none."""
    return one.plain or "" if one is not None else ""


# Fields in which no address and no number belongs, and which leave in plain, or may: nobody gets one that holds such. As do
# all ``TEXT_FIELDS``.
_LINES_WITHOUT_CONTACT = ("id", *LINE_TEXTS)
PERSON_WITHOUT_CONTACT = tuple(
    "city state zip client_user_agent fbp fbc fbclid ttp ttclid gclid gbraid wbraid ga_client_id ga_session_id epik sc_click_id "
    "sc_cookie1 li_fat_id rdt_cid rdt_uuid msclkid twclid lead_id job_title company_name".split()
)


def contacts_in(event: Event) -> list[tuple[str, ...]]:
    """The paths of what holds an e-mail address or a phone number where none belongs: what a sender is warned of, and what no
    platform gets.

    Not those in the URL and the properties, which ``personal.py`` finds, nor in what is hashed before it leaves.
    """
    found: list[tuple[str, ...]] = [
        (name,) for name in ("event_name", "event_id") if holds_contact(getattr(event, name))
    ]
    given: Mapping[str, Any] = vars(event.user_data)
    found += [
        ("user_data", name) for name in PERSON_WITHOUT_CONTACT if (text := given.get(name)) and holds_contact(text)
    ]
    if (text := given.get("external_id")) and holds_contact(text):
        found.append(("user_data", "external_id"))
    custom = event.custom_data
    given = vars(custom)
    found += [("custom_data", name) for name in TEXT_FIELDS if (text := given.get(name)) and holds_contact(text)]
    for place, line in enumerate(custom.contents):
        given = vars(line)
        found += [
            (*line_path("contents", place), name)
            for name in _LINES_WITHOUT_CONTACT
            if (text := given.get(name)) and holds_contact(text)
        ]
    if any(map(holds_contact, custom.product_ids)):
        found.append(("custom_data", "product_ids"))
    if event.device is not NO_DEVICE:
        given = vars(event.device)
        found += [("device", name) for name, text in given.items() if isinstance(text, str) and holds_contact(text)]
    return found
