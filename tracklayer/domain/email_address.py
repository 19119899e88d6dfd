"""E-mail addresses: how each platform wants them before they are hashed, and the digests made of one at ingest.

A rule takes what a merchant sent and returns the normalised text, or None where it is no address.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import unquote

from tracklayer.domain.sha256 import sha256_hex
from tracklayer.domain.text import with_few_marks, without_invisible

_NEVER = r"@\s\x00-\x1f\x7f-\x9f<>,;:\"()\[\]"
_EMAIL = re.compile(rf"[^{_NEVER}]+@[^.{_NEVER}]+(?:\.[^.{_NEVER}]+)+")
# A host is letters of any script, digits and hyphens: what else stands there came along (``example.com&nbsp``, ``example.com/``).
_NO_HOST = re.compile(
    r"[!-,/:-@\[-^`{-~\u00a0-\u00a9\u00ab-\u00b4\u00b6\u00b8\u00b9\u00bb-\u00bf\u00d7\u00f7\u2010-\u205e\u3000-\u3004\u3008-\u3020]"
).search
# Most addresses, in lower case; at most 252 characters.
_EVERYDAY_EMAIL = re.compile(r"[a-z0-9._+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,30}){1,4}")
_MOST = 254  # characters of an address: RFC 5321
_MOST_AROUND = 1000  # characters of a text that is searched for an address: a name, quotes, invisible ones
_NAMED = re.compile(r"[^<>@]*<([^<>]*)>[\s.,;]*")  # Jane Doe <jane@example.com>
# What stands in front of an address and can be no part of it: it ends in a sign that no address has before its @, and a blank
# parts it from the one word that is left. An apostrophe is no such sign (``o’ neill``), and a comma behind one word may be a slip for
# a dot (``jane, doe``).
_CLOSING, _OPENING = '"\u201c\u201d\u201e\u00ab\u00bb)\\]>', '"\u201c\u201d\u201e\u00ab\u00bb<(\\['
_IN_FRONT = re.compile(
    rf"(?:[^@]*(?:[{_CLOSING}]|(?<!mailto):)\s+|[^@\s]+\s[^@]*[,;]\s+|[^@]*\s(?:[{_OPENING}]\s*|(?=mailto:)))"
    r"(?=(?:mailto:\s*)?[^@\s]+\s*@)"
)
_BLANKS_AROUND_AT = re.compile(r"\s*@\s*")
# Not at an underscore or a plus, nor at a dot with a blank in front (``jane . doe``) or a hyphen that has one on one side alone.
_BETWEEN_WORDS = re.compile(r"(?<![\s_+])(?<!\s\.)(?:\s+[-\u2010-\u2015]+\s+|(?<!-)\s+(?!-))(?![\s._+])")
# In front of an address, as ``_spellings`` has them without signs.
_WORDS_FOR_EMAIL = frozenset(
    "email emails mail emailaddress emailadresse emailadres emailadress mailadresse adressemail address adresse adress adres "
    "correo courriel courrier posta epost eposta epostadress epostadresse poczta sahkoposti "
    "contact contacto contatto contato kontakt".split()
)
# Letters that Unicode does not part from their accents, and those that people write as two where a keyboard has none.
_UNACCENTED = str.maketrans(
    {"ß": "ss", "ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"}
)
_AS_TWO = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_OTHER_ESCAPE = re.compile(r"%[89A-F][0-9A-F]")
_WORDS_BEHIND = re.compile(r"\.[^.\s]+\.?\s+(?![\s.])")  # a whole host: jane@example.com or so
# What no address begins or ends with; an apostrophe may begin one, so it goes only where one stands at the end too.
_QUOTES = '"\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a'
_BEFORE = re.compile(rf"[\s{_QUOTES}<(\[]+")
_BEHIND = re.compile(rf"[\s{_QUOTES}'`>)\].,;:]+\Z")
_HELD = re.compile(rf"[^{_NEVER}]\s*@\s*(?:[^.{_NEVER}]+\.)+[^\W\d_]")
_FULL_WIDTH = str.maketrans("\uff20\ufe6b\uff0e\u3002\uff61", "@@...")
_FULL_WIDTH_ASCII = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
_SIGNS = re.compile(r"[\W_]+")  # all that is no letter and no digit of any script


def email(value: str) -> str | None:
    """Lower case, and nothing around it; dots and +tag stay. Meta, TikTok, Pinterest, Snapchat, LinkedIn, X.

    What comes along when one copies goes: blanks at the ends and around the @, invisible characters, quotes, angle
    brackets, mailto:, a comma or dot at the end, a name in front that can be no part of it. Blanks inside go too, as Google, LinkedIn,
    Pinterest and Snapchat have it: but not where two addresses may be meant, where words stand behind a whole one, or where those in
    front may be a name. What is escaped for a URL is none.
    """
    text = value.strip().lower()
    if _EVERYDAY_EMAIL.fullmatch(text):
        return text
    if len(text) > _MOST_AROUND:
        return None
    text = _folded(text)
    if front := _IN_FRONT.match(text):
        text = text[front.end() :]
    found = _address_of(_without_name(_unwrapped(text)))
    if found is None or "\\" in found or _NO_HOST(found.partition("@")[2]):
        return None
    return None if "%" in found and _is_escaped(value) else found


def is_read_without_blanks(value: str) -> bool:
    """Whether ``email`` makes one word of what stands in several: it may have been a name and an address. Blanks around the @ say
    nothing.
    """
    found = email(value) if len(value.split()) > 1 else None
    return found is not None and found not in _BLANKS_AROUND_AT.sub("@", _folded(value.lower()))


def _is_escaped(text: str) -> bool:
    """Whether a text was escaped for a URL. What is no UTF-8 without its escapes may be how old programs wrote a letter beyond ASCII,
    in capitals (``jane%E9``), or what it looks like (``50%deal``).
    """
    plain = unquote(text)
    return plain != text and ("\ufffd" not in plain or _OTHER_ESCAPE.search(text) is not None)


def email_as_before(value: str) -> str | None:
    """As versions before read it, and stored it: they took any sign for a part of an address, and a name before it."""
    text = value.strip().lower()
    if len(text) > _MOST_AROUND:
        return None
    return _address_of(_unwrapped(_folded(text)))


def _address_of(text: str) -> str | None:
    if text.count("@") == 1 and len(words := text.split()) > 1 and not _WORDS_BEHIND.search(text.partition("@")[2]):
        text = "".join(words)
    return text if len(text) <= _MOST and _EMAIL.fullmatch(text) else None


def holds_email(text: str) -> bool:
    """Whether an address stands anywhere in a text; also one that is split by a blank."""
    if text.isascii():
        return "@" in text and _HELD.search(text) is not None
    return _HELD.search(without_invisible(text).translate(_FULL_WIDTH)) is not None


def _folded(text: str) -> str:
    if text.isascii():
        return text
    text = without_invisible(text).translate(_FULL_WIDTH)
    # Of what is only compatible nothing is folded: an ℌ or an ﬁ is not how its owner writes an address.
    text = text.translate(_FULL_WIDTH_ASCII).lower()
    # An é is one character or two: each is the same mailbox, and the composed one is what others hash.
    return unicodedata.normalize("NFC", with_few_marks(text))


def _unwrapped(text: str) -> str:
    if named := _NAMED.fullmatch(text):
        text = named[1]
    text = _without_quotes(text)
    if text.startswith("mailto:"):
        text = _without_quotes(text.removeprefix("mailto:").partition("?")[0])
    return _BLANKS_AROUND_AT.sub("@", text)


def _without_name(text: str) -> str:
    """Of ``王小明 jane@example.com`` the address: no name in another script is a part of it. Nothing of ``Jane Doe jane@example.com``:
    the words may be a name or a part of the address, and either may be somebody else's. One word alone stays: platforms have it so.
    """
    local, at, host = text.partition("@")
    *before, last = _BETWEEN_WORDS.split(local)
    name = " ".join(before)
    words = name.split()
    if not words:
        return text
    are_latin = list(map(_are_latin, words))
    if last.isascii() and not all(map(all, are_latin)):
        return last + at + host if all(letters and not any(letters) for letters in are_latin) else ""
    spellings, in_address = _spellings(name), _spellings(last)
    may_be_name = (
        (len(words) > 1 and any(len(word) > 1 for word in (*words, last)))
        or any(_SIGNS.sub("", spelling) in _WORDS_FOR_EMAIL for spelling in spellings)
        or any(
            word in address
            for spelling in spellings
            for word in _SIGNS.split(spelling)
            if len(word) > 1
            for address in in_address
        )
    )
    return "" if may_be_name else text


def _are_latin(word: str) -> list[bool]:
    """Of each letter whether ASCII has it, with or without an accent."""
    return [unicodedata.name(sign, "LATIN").startswith("LATIN") for sign in word if sign.isalpha()]


def _spellings(name: str) -> set[str]:
    """A name in letters without accents, as people write it in an address: ``müller`` as ``muller`` and ``mueller``."""
    if name.isascii():
        return {name}
    return {
        "".join(sign for sign in unicodedata.normalize("NFD", with_few_marks(text)) if not unicodedata.combining(sign))
        for text in (name.translate(_UNACCENTED), name.translate(_AS_TWO).translate(_UNACCENTED))
    }


def _without_quotes(text: str) -> str:
    if found := _BEFORE.match(text):
        text = text[found.end() :]
    bare = _BEHIND.sub("", text)
    for quote in "'`":
        if text.startswith(quote) and quote in text[len(bare) :]:
            return bare[1:]
    return bare


def email_google(value: str) -> str | None:
    """``email``, and for gmail.com and googlemail.com without dots and +tag. Google Ads, GA4."""
    text = email(value)
    return text if text is None or not text.endswith(_GOOGLES) else _without_alias(text)


def email_without_alias(value: str) -> str | None:
    """``email``, and on every domain without dots and +tag before the @. Microsoft Advertising."""
    return _without_alias(email(value) or "")


def email_alphanumeric(value: str) -> str | None:
    """``email``, and on every domain only letters and digits before the @ or the +tag. Reddit."""
    return _alphanumeric(email(value) or "")


_GMAIL, _GOOGLEMAIL = _GOOGLES = ("@gmail.com", "@googlemail.com")


def _without_alias(basic: str) -> str | None:
    local, _, domain = basic.partition("@")
    return _address(_bare(local), domain)


def _alphanumeric(basic: str) -> str | None:
    local, _, domain = basic.partition("@")
    return _address(_letters_and_digits(_bare(local)), domain)


def _bare(local: str) -> str:
    return local.partition("+")[0].replace(".", "")


def _letters_and_digits(text: str) -> str:
    return text if text.isalnum() else _SIGNS.sub("", text)


def _address(local: str, domain: str) -> str | None:
    return f"{local}@{domain}" if local and domain else None


EMAIL_RULES: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {
        "basic": email,
        "google": email_google,
        "without_alias": email_without_alias,
        "alphanumeric": email_alphanumeric,
    }
)


# Not what any platform gets, but by what the same mailbox is known in another spelling.
OTHER_SPELLINGS = ("decomposed", "other_host", "gmail")


def other_spellings(basic: str) -> dict[str, str]:
    """Of an address in its usual form: by name those with letters beyond ASCII that are not the same text; mostly none.

    ``decomposed``: letters apart from their accents. ``other_host``: a host of letters beyond ASCII in the form that DNS has
    (``xn--mnchen-3ya.de``), and the other way round.
    """
    local, _, host = basic.rpartition("@")
    found = {}
    if not basic.isascii() and (apart := unicodedata.normalize("NFD", basic)) != basic:
        found["decomposed"] = apart
    if (other := _other_host(host)) is not None:
        found["other_host"] = f"{local}@{other}"
    return found


def _other_host(host: str) -> str | None:
    if host.isascii() and "xn--" not in host:
        return None
    try:
        if host.isascii():
            parts = [_label_of(part) for part in host.split(".")]
        else:
            parts = [part if part.isascii() else f"xn--{part.encode('punycode').decode()}" for part in host.split(".")]
    except UnicodeError:  # no host that DNS could have
        return None
    return ".".join(parts) if all(parts) else None


def _label_of(part: str) -> str:
    return part[4:].encode().decode("punycode") if part.startswith("xn--") else part


def email_digests(value: str) -> dict[str, str]:
    """Every digest some platform needs of a plain address, by rule name; "" where a rule leaves nothing of it.

    Rules that agree with ``basic`` are left out; no entry at all: it is no address. Beside them those of ``other_spellings``,
    and of an address under googlemail.com ``gmail``: what the ``google`` rule makes of the same mailbox under gmail.com. No
    platform gets that.
    """
    basic = email(value)
    if basic is None:
        return {}
    digests = {"basic": sha256_hex(basic)}
    local, _, domain = basic.partition("@")
    if not basic.isascii() or "xn--" in domain:
        digests |= {name: sha256_hex(other) for name, other in other_spellings(basic).items()}
    if basic.endswith(_GOOGLEMAIL) and (bare := _bare(local)):
        digests["gmail"] = sha256_hex(bare + _GMAIL)
    if local.isalnum():
        return digests  # neither dot nor tag nor sign: every rule leaves it as it is
    bare = _bare(local)
    of_bare = sha256_hex(f"{bare}@{domain}") if bare else ""
    if bare != local:
        if basic.endswith(_GOOGLES):
            digests["google"] = of_bare
        digests["without_alias"] = of_bare
    alphanumeric = _letters_and_digits(bare)
    if alphanumeric != local:
        same = alphanumeric == bare
        digests["alphanumeric"] = of_bare if same else sha256_hex(f"{alphanumeric}@{domain}") if alphanumeric else ""
    return digests
