"""Phone numbers: how each platform wants them before they are hashed, and the digests made of one at ingest."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberDesc

from tracklayer.domain.sha256 import sha256_hex
from tracklayer.domain.text import without_invisible

# Python itself remembers 512 patterns. The library has some 1,500 of all countries, and makes one anew in a tenth of a
# millisecond to a whole one: numbers of many countries took ten times as long. All of them have 2 MiB.
phonenumbers.enable_pattern_cache()


def phone_e164(value: str, default_country: str | None = None) -> str | None:
    """``+`` and digits with the country code. Google, TikTok, Reddit, Microsoft, X.

    A number written without ``+`` or ``00`` is read in ``default_country`` (ISO alpha-2): behind an exit code of that
    country, as at home, or with the country code. Without a default it is None: nobody can tell its country, and a
    guessed one is a stranger's number. So it is where two readings are as likely.
    """
    text = value.strip()
    return _phone_e164(text, default_country) if len(text) <= MAX_PHONE else None


def phone_digits(value: str, default_country: str | None = None) -> str | None:
    """As ``phone_e164`` without the ``+``. Meta, Pinterest, Snapchat."""
    number = phone_e164(value, default_country)
    return number[1:] if number else None


MAX_PHONE = 250  # characters, with what is noted beside a number: a longer text is none, and costs no time
_INTERNATIONAL = re.compile(r"\+[1-9](?:[ ().-]{0,3}[0-9]){6,14}")
_PUNCTUATION = str.maketrans("", "", " ().-")
# When somebody can be called, behind the number: ``9-17``, ``(8:30-12:00)``, ``9 - 17 Uhr``.
_HOUR = r"(?:[01]?[0-9]|2[0-4])(?:[:.][0-5][0-9])?"
_HOURS_BEHIND = re.compile(
    rf"(?P<number>.*[0-9)]) +(?P<bracket>\(?) ?{_HOUR} ?- ?{_HOUR} ?\)?(?P<word> ?(?:uhr|hours?|hrs?|h|horas?|uur|o'clock)\.?\)?)?",
    re.IGNORECASE,
)


def _international(text: str) -> str | None:
    """What ``_phone_e164`` would say of a number with ``+`` and country code, at a tenth of the price; None: ask it.

    Takes only what the library takes as it stands: a known country code, then no national prefix to think about, and
    as many digits as numbers of that country have.
    """
    if not _INTERNATIONAL.fullmatch(text):
        return None
    digits = text[1:]
    if not digits.isdigit():
        if "-" in digits and _HOURS_BEHIND.fullmatch(text):
            return None
        digits = digits.translate(_PUNCTUATION)
    plan = _plan_of(digits)
    if plan is None:
        return None
    code_length, lengths, prefix, _ = plan
    national = digits[code_length:]
    if len(national) not in lengths or national[0] == "0" or (prefix and prefix.match(national)):
        return None
    return f"+{digits}"


_Plan = tuple[int, frozenset[int], re.Pattern[str] | None, str]


def _plan_of(digits: str) -> _Plan | None:
    """That of the country code with which an international number begins."""
    plans = _numbering_plans()
    return plans.get(digits[:1]) or plans.get(digits[:2]) or plans.get(digits[:3])


@cache
def _numbering_plans() -> dict[str, _Plan]:
    """By country code: its length, how many digits a national number may have, how a national prefix would begin, and
    a pattern that every national number fits.
    """
    plans = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        found = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        if found is None or found.general_desc is None:
            continue
        general, prefix = found.general_desc, found.national_prefix_for_parsing
        plans[str(code)] = (
            len(str(code)),
            frozenset(general.possible_length),
            re.compile(prefix) if prefix else None,
            general.national_number_pattern or "",
        )
    return plans


_Type = phonenumbers.PhoneNumberType
_Result = phonenumbers.ValidationResult
_FEWEST_WITH_AREA = 8  # digits: fewer may go on in letters, as 1-800-FLOWERS does
_LONGEST_EXTENSION = 6  # digits: more behind a slash are a second number, and which of both counts nobody can tell
_OTHER_NUMBER = re.compile(rf"(?:[0-9][ ()/.+-]*){{{_LONGEST_EXTENSION + 1}}}")
_MOST_DIGITS = 40  # with exit codes and extensions: of more no reading is a number
_MOST_SLASHES = 4  # a text with more is no number
_MOST_CUTS = 2  # at slashes, from the end: of an extension of more parts nobody can tell
_FEWEST_BEFORE_SLASH = 5  # digits: fewer are nobody's whole number
_BEGINNING = re.compile(r"[+0-9]")
_DIGIT = re.compile(r"[0-9]")
_NO_DIGITS = re.compile(r"[^0-9]+")
_LETTER = re.compile(r"[^\W\d_]")
# A note begins with a letter behind a sign or blank, or is an extension.
_NOTED = re.compile(rf"(?P<number>(?:[^\w]*[0-9]){{{_FEWEST_WITH_AREA},}})(?:[^\w]+[^\W\d_]|x|ext).*", re.IGNORECASE)
# Digits that somebody hid: what is left of them, or letters read as digits, are somebody else's number.
_MASKED = re.compile(r"\*|[xX]{2}|[xX](?:[^\w]*[xX]){2}|[0-9][^\w]*[?_]|#[^\w]*#")
_HIDDEN = re.compile("[\u2022\u25cf\u25cb\u25e6\u25a0\u25aa\u2588\u2591\u2592\u2026]")  # dots, blocks, an ellipsis
# What people write in front of a number: one sign of a kind, and a word for a phone. Of other words, and of rows of signs, nobody
# can tell whether what follows is a whole number, or one of a phone.
_WORDS_FOR_PHONE = (
    "tel telnr telefon telefonnummer telef telefono teléfono telephone téléphone telefone telefoon tlf puh "
    "mob mobil mobile mobilnummer mobiltelefon móvil movil mobiel handy handynummer cell cellular cellulare celular cel gsm portable hp "
    "phone phonenumber fon fono ph nr no num nummer number numero número numéro n° office home work büro privat private festnetz rufnummer "
    "fax whatsapp wa sms contact kontakt call callto тел телефон моб мобильный 電話 電話番号 电话 手机 携帯 전화 휴대폰 هاتف جوال "
    "τηλ τηλέφωνο κινητό טלפון"
)
_IN_FRONT = re.compile(
    rf"(?!.*([^\w\s/\"'])\s*\1)[^\w?]*(?:(?:{'|'.join(map(re.escape, _WORDS_FOR_PHONE.split()))}|[hmpt](?=\W))(?![^\W\d_])[^\w?]*){{0,3}}",
    re.IGNORECASE | re.DOTALL,
)
# An IPv4 address, with zeros in front of its parts or without. It is a number where its parts are the groups in which a country writes
# that one, as 29.01.20.127 in Luxembourg, and in groups of two and three as people write them in Spain, too.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_MACHINE = re.compile(rf"(?!0){_OCTET}(?:\.{_OCTET}){{3}}(?![0-9.])")
_IN_PAIRS = re.compile(r"[0-9]{2}\.[0-9]{2,3}(?:\.[0-9]{2}){2}\Z")
# A date; with signs also of the years from which programs count (0001, 1601, 1899), and of the last one that they know. With blanks
# alone no digits may follow but a time's: 11 9 2012 3456 is a mobile number of São Paulo.
_MONTH, _DAY = r"(?:1[0-2]|0?[1-9])", r"(?:3[01]|[12][0-9]|0?[1-9])"


def _date(by: str, year: str, behind: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?:{year}({by}){_MONTH}\1{_DAY}|(?:{_DAY}({by}){_MONTH}|{_MONTH}({by}){_DAY})(?:\2|\3){year})"
        rf"(?:{behind}|[,.)\]](?![0-9]).*)?\Z"
    )


_DATES = (
    _date("[-./]", "(?:0001|1[5-9][0-9]{2}|2[01][0-9]{2}|9999)", "[T ,].*"),
    _date(" ", "(?:19|20)[0-9]{2}", "[T ,] ?[0-9]{1,2}:.*"),
)
_BLANKS_AROUND_SIGN = re.compile(r" ?([-./]) ?")
_ONE_IN_FRONT = re.compile(r"[0-9](?![^0-9]*\(0\))[^0-9]+(?=0)")  # of a row of them, or a digit too many
_AS_A_FLOAT = re.compile(r"(\+?[0-9]{6,15})\.0{1,2}")  # as tables write a number
# A free number in words, as 1-800-FLOWERS: letters elsewhere are no digits.
_IN_WORDS = re.compile(r"(?:\+?1)?[^\w]*8(?:00|33|44|55|66|77|88)(?:[^\w]*[A-Z0-9]){7,}")
_EXIT_CODE_BEHIND_PLUS = re.compile(r"\A\+[+ ]*00")
_SIGNS = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fb\u00b7\u2022\u2219", "-") | {"\u2795": "+"}
_EXIT_CODES = ("", "0", "001", "0011", "010", "011", "810")
_MEXICO = 52
# Dialled before the number until 2019, and still in address books. The library no longer knows them.
_RETIRED_IN_MEXICO = re.compile(r"(?:0?1|04[45])([2-9][0-9]{9})")


# One event asks for the same number in two forms and for several platforms. At most 1 MiB of 1,024 texts of MAX_PHONE.
@lru_cache(maxsize=1024)
def _phone_e164(text: str, default_country: str | None) -> str | None:
    if floated := _AS_A_FLOAT.fullmatch(text):
        text = floated[1]
    return _international(text) or _parsed_e164(text, default_country)


def _parsed_e164(text: str, default_country: str | None) -> str | None:
    """The one reading of a text that is a possible number; None where there is none, or no telling which.

    "Possible" (length fits the country) serves where the text says by itself how it is meant, "valid" (range is
    assigned) decides between readings: ranges open faster than tables are updated, and a platform shrugs at a number
    it cannot match, but a wrong reading is somebody else's number.
    """
    if _HIDDEN.search(text):
        return None
    text = _plain(text)
    if "phone-context=" in text:  # of RFC 3966: the library reads it
        return _only(_e164s(_possible(text, default_country)))
    hours = _HOURS_BEHIND.fullmatch(text)
    return _without_hours(hours, default_country) if hours else _without_notes(text, default_country)


def _without_hours(hours: re.Match[str], default_country: str | None) -> str | None:
    """What is read of the number in front of hours. Where nothing but the digits says that they are hours, and with them there is a
    number, too, nobody can tell which was meant.
    """
    alone = _without_notes(hours["number"], default_country)
    if hours["bracket"] or hours["word"]:
        return alone
    whole = _without_notes(hours.string, default_country)
    if _valid_number(alone) is None:
        return whole
    return None if _valid_number(whole) is not None else alone


def _without_notes(text: str, default_country: str | None) -> str | None:
    """What is read of a text without what is noted behind the number."""
    text = _number_in(text)
    if text.count("/") > _MOST_SLASHES or len(_NO_DIGITS.sub("", text)) > _MOST_DIGITS:
        return None
    number = _before_slash(text, default_country)
    return None if number is None or _is_doubtful(text, number, default_country) else number


def _is_doubtful(text: str, number: str, default_country: str | None) -> bool:
    """Whether a text from which a number is read may well be a date, the address of a machine, or one digit and a whole number."""
    plain = _BLANKS_AROUND_SIGN.sub(r"\1", text)
    if any(date.match(plain) for date in _DATES):  # but in Haiti, where 25 12 1990 is how a number is written
        return text != phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.NATIONAL)
    if _MACHINE.match(text):
        at_home = phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.NATIONAL)
        groups, own_groups = _NO_DIGITS.split(text), _NO_DIGITS.split(at_home)
        return groups != own_groups and not (_IN_PAIRS.match(text) and "".join(groups) == "".join(own_groups))
    one = _ONE_IN_FRONT.match(text)
    if one is None:
        return False
    behind = _before_slash(text[one.end() :], default_country)
    return behind != number and bool(_valid_number(behind) or not _valid_number(number))


def _before_slash(text: str, default_country: str | None) -> str | None:
    """What is read of a number with slashes: of all of it where those only part it (``030/1234567``), of what stands before one
    that an extension or the end of a second number follows.

    A cut is read only where nothing is sure without it: what is read, the library is asked about, in every country.
    """
    cuts: list[tuple[str | None, PhoneNumber | None, str, int]] = []
    while True:
        whole = _read_e164(text, default_country)
        head, slash, tail = text.rpartition("/")
        digits = _NO_DIGITS.sub("", head)
        added = len(_NO_DIGITS.sub("", tail))
        if not slash or not added or len(digits) < _FEWEST_BEFORE_SLASH:
            break
        valid = _valid_number(whole)
        is_apart = head[-1:] == tail[:1] == " "
        if valid is not None and (not is_apart or _is_mobile(valid)):
            break
        if len(cuts) == _MOST_CUTS:
            return None
        cuts.append((whole, valid, digits, added))
        text = head
    number = whole
    for whole, valid, digits, added in reversed(cuts):
        found = _valid_number(number)
        national = found and phonenumbers.national_significant_number(found)
        # Half a number may be one by what a country's rules add. And the tables of fixed lines often let anything pass: an area
        # code and a number are not parted behind so many digits.
        if not national or national not in digits or (valid is not None and len(national) < _FEWEST_WITH_AREA):
            number = whole
        elif added > _LONGEST_EXTENSION:
            number = None
    return number


@lru_cache(maxsize=1024)
def _valid_number(e164: str | None) -> PhoneNumber | None:
    """None for a number that is not valid. Nobody may change what this gives."""
    if e164 is None:
        return None
    number = phonenumbers.parse(e164)
    return number if phonenumbers.is_valid_number(number) else None


def _read_e164(text: str, default_country: str | None) -> str | None:
    if text[:1] == "+":
        return _only(_e164s(_read(_without_second_code(_EXIT_CODE_BEHIND_PLUS.sub("+", text)))))
    plan = PhoneMetadata.metadata_for_region(default_country or "")
    digits = _NO_DIGITS.sub("", text)
    abroad = _behind_exit_code(text, digits, plan)
    if abroad and digits.startswith("00"):
        return _only(abroad) or _likelier_abroad(_valid(abroad), abroad, digits, plan)
    here = {} if plan is None else _in_country(text, digits, plan)
    if digits.startswith("00"):  # hardly a country has numbers of its own that begin so
        return _only(_valid(here))
    if not abroad and len(here) == 1:
        return _at_home(here, text, digits)
    dialled, home = _valid(abroad), _valid(here)
    if dialled:
        # 02 and 990 are exit codes of few countries, and numbers of theirs begin so.
        return _likelier_abroad(dialled, abroad, digits, plan) if not home or home.keys() == dialled.keys() else None
    if len(home) == 1:
        return _only(home)
    return _likelier_here(home, digits) if home else _only(abroad | here)


def _without_second_code(text: str) -> str:
    """Of ``+49 0049 170 …`` what begins with the second code: a program put the first before a whole number."""
    digits = _NO_DIGITS.sub("", text)
    plan = _plan_of(digits)
    if plan is None:
        return text
    code = digits[: plan[0]]
    return "+" + _behind(text, plan[0] + 2) if digits.startswith(f"00{code}", plan[0]) else text


def _e164s(*numbers: PhoneNumber | None) -> dict[str, PhoneNumber]:
    """The numbers by how they are written internationally, each once."""
    return {
        f"+{number.country_code}{phonenumbers.national_significant_number(number)}": number
        for number in numbers
        if number is not None
    }


def _valid(readings: dict[str, PhoneNumber]) -> dict[str, PhoneNumber]:
    return {e164: number for e164, number in readings.items() if phonenumbers.is_valid_number(number)}


def _only(readings: Iterable[str]) -> str | None:
    found = list(readings)
    return found[0] if len(found) == 1 else None


def _plain(text: str) -> str:
    """ASCII digits, signs and blanks for those of other scripts; nothing invisible."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", without_invisible(text))
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else _SIGNS.get(c, c) for c in text)
    return " ".join(text.split())


def _number_in(text: str) -> str:
    """From the ``+`` or the first digit on, without what is noted behind it; "" where letters in front or behind, or a second
    number, leave none sure.

    Letters that stand for digits in a free number, as in 1-800-FLOWERS, are left to the library.
    """
    begin = _BEGINNING.search(text)
    if begin is None:
        return ""
    if _MASKED.search(text) or (begin[0] != "+" and not _IN_FRONT.fullmatch(text, 0, begin.start())):
        return ""
    text, _, parameters = text[begin.start() :].partition(";")  # of a tel: URI
    if _holds_a_number(parameters):
        return ""
    if not _LETTER.search(text):
        return text
    if noted := _NOTED.fullmatch(text):
        return "" if _holds_a_number(text[noted.end("number") :]) else noted["number"]
    return text if _IN_WORDS.fullmatch(text) else ""


def _holds_a_number(text: str) -> bool:
    """Whether more digits than an extension has stand in it, with nothing between that no number has: hours are none."""
    return _OTHER_NUMBER.search(text) is not None


@lru_cache(maxsize=1024)  # what is read with ``+`` is asked for each country and each exit code
def _read(text: str, region: str | None = None) -> PhoneNumber | None:
    """The possible number that a text gives with ``+``, or nationally in a region; a ``(0)`` counts where it belongs.

    Nobody may change what this gives.
    """
    number = _possible(text, region)
    if "(0)" not in text or (number is not None and phonenumbers.is_valid_number(number)):
        return number
    other = _possible(text.replace("(0)", "", 1), region)
    if number is None or (other is not None and phonenumbers.is_valid_number(other)):
        return other
    plan = PhoneMetadata.metadata_for_region(phonenumbers.region_code_for_number(number) or "")
    return other if other is not None and plan is not None and plan.national_prefix == "0" else number


def _possible(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if number.country_code == _MEXICO:
        retired = _RETIRED_IN_MEXICO.fullmatch(phonenumbers.national_significant_number(number))
        if retired:
            number = phonenumbers.parse(f"+{_MEXICO}{retired[1]}")
    result = phonenumbers.is_possible_number_with_reason(number)
    is_local = result == _Result.IS_POSSIBLE_LOCAL_ONLY  # dialled in its town: without the area code it is nobody's
    return number if result == _Result.IS_POSSIBLE or (is_local and phonenumbers.is_valid_number(number)) else None


def _behind_exit_code(text: str, digits: str, plan: PhoneMetadata | None) -> dict[str, PhoneNumber]:
    """What is read behind 00 and behind the exit codes of the country that dials: 011, 0011, 00700, 810."""
    lengths = set()
    if digits.startswith("00"):
        lengths.add(len(digits) - len(digits.lstrip("0")))
    if plan is not None and (own := re.match(plan.international_prefix or "$", digits)):
        lengths.add(own.end())
    return _e164s(*[_read("+" + _behind(text, length)) for length in sorted(lengths)])


def _in_country(text: str, digits: str, plan: PhoneMetadata) -> dict[str, PhoneNumber]:
    """What is read as at home; then with the country code, without ``+`` or with a 0 before it."""
    at_home = _read(text, plan.id)
    bare = digits.lstrip("0")
    home = _e164s(at_home)
    if not bare.startswith(str(plan.country_code)) or f"+{bare}" in home:
        return home
    return _e164s(at_home, _read("+" + _behind(text, len(digits) - len(bare))))


def _likelier_abroad(
    valid: dict[str, PhoneNumber], possible: dict[str, PhoneNumber], digits: str, plan: PhoneMetadata | None
) -> str | None:
    """Of numbers that are read behind exit codes of different lengths; None where nothing speaks for one."""
    own = (
        () if plan is None else [e164 for e164, number in possible.items() if number.country_code == plan.country_code]
    )
    likelier = (
        _only(valid)
        or _only(e164 for e164 in valid if e164[1:] in digits)  # as written: no national prefix had to be left out
        or _only(e164 for e164 in valid if e164 in own)
    )
    return likelier if not own or likelier in own else None


def _likelier_here(valid: dict[str, PhoneNumber], digits: str) -> str | None:
    """Of the number that is read as at home and the one with the country code; None where nothing speaks for one.

    Mobile numbers have few lengths and beginnings, the tables of the others often let anything pass: where one of two
    is mobile, it is no accident.
    """
    (at_home, number), (coded, coded_number) = valid.items()
    if digits.startswith("0"):
        return coded if _is_mobile(coded_number) and not _is_mobile(number) else at_home
    if _is_home_spelling(number, digits) or (_is_mobile(number) and not _is_mobile(coded_number)):
        return None
    return coded


def _at_home(reading: dict[str, PhoneNumber], text: str, digits: str) -> str | None:
    """The only reading in a country, unless the text could well be a number of another one."""
    ((at_home, number),) = reading.items()
    others = _without_plus(text, digits, str(number.country_code))
    if not others:
        return at_home
    is_sure = phonenumbers.is_valid_number(number) and (
        digits.startswith("0")
        or _is_mobile(number)
        or _is_home_spelling(number, digits)
        or not any(map(_is_mobile, others.values()))
    )
    return at_home if is_sure else None


def _is_mobile(number: PhoneNumber) -> bool:
    return phonenumbers.number_type(number) in (_Type.MOBILE, _Type.FIXED_LINE_OR_MOBILE)


def _is_home_spelling(number: PhoneNumber, digits: str) -> bool:
    """Whether these are the digits that people of its country write for it."""
    return digits == _NO_DIGITS.sub("", phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))


def _without_plus(text: str, digits: str, home_code: str) -> dict[str, PhoneNumber]:
    """Valid numbers of other countries: a ``+`` put before the text as it stands, or for somebody's exit code."""
    readings = [
        _read("+" + _behind(text, len(code)))
        for code in _EXIT_CODES
        if digits.startswith(code)
        and not digits.startswith(home_code, len(code))
        and _may_be_valid(digits[len(code) :])
    ]
    return _valid(_e164s(*readings))


def _may_be_valid(digits: str) -> bool:
    """False for most that are no international number: no need to ask the library."""
    plan = _plan_of(digits)
    if plan is None:
        return False
    code_length, lengths, prefix, pattern = plan
    national = digits[code_length:]
    if len(national) < min(lengths):
        return False
    return bool(re.fullmatch(pattern, national) or (prefix and prefix.match(national)))


def _behind(text: str, count: int) -> str:
    """What follows so many digits."""
    for found in _DIGIT.finditer(text):
        count -= 1
        if count < 0:
            return text[found.start() :]
    return ""


PhoneRule = Callable[[str, str | None], str | None]
PHONE_RULES: Mapping[str, PhoneRule] = MappingProxyType({"digits": phone_digits, "e164": phone_e164})


def phone_at_home(value: str, country: str) -> str | None:
    """With ``+``: the number that a text is in the person's own country, if it is a valid one there."""
    return _phone_at_home(value, country) if len(value) <= MAX_PHONE else None


@lru_cache(maxsize=1024)  # at most 1 MiB
def _phone_at_home(value: str, country: str) -> str | None:
    number = phone_e164(value, country)
    return number if number is not None and is_assigned(number) else None


_SAME_DIGITS = re.compile(r"([0-9])\1{6}")  # +5511999999999: what people write who give none


def is_somebodys_number(e164: str) -> bool:
    """Whether a number, with ``+`` and country code, can be somebody's: of an assigned range, and not one digit over and over."""
    return _SAME_DIGITS.search(e164) is None and is_assigned(e164)


def is_assigned(e164: str) -> bool:
    """What the library says of a number's range, at a tenth of the price: each new customer's is asked about on the way in.

    Where it may read another number than the digits say, behind a national prefix, it is asked itself.
    """
    digits = e164[1:]
    plan = _plan_of(digits)
    if plan is not None:
        code_length, _, prefix, _ = plan
        national = digits[code_length:]
        if national[:1] != "0" and not (prefix and prefix.match(national)):
            return _is_in_a_range(digits[:code_length], national)
    return phonenumbers.is_valid_number(phonenumbers.parse(e164))


def _is_in_a_range(code: str, national: str) -> bool:
    """Of several countries with one code, the first whose leading digits it has decides."""
    for leading, by_length in _ranges(code):
        is_led = leading is not None and leading.match(national) is not None
        if leading is None or is_led:
            ranges = by_length.get(len(national))
            if ranges is not None and ranges.fullmatch(national):
                return True
            if is_led:
                return False
    return False


_Ranges = tuple[re.Pattern[str] | None, Mapping[int, re.Pattern[str]]]
# The kinds of number that make one valid, as the library knows them.
_ASSIGNED = "fixed_line mobile premium_rate toll_free shared_cost voip personal_number pager uan voicemail".split()


@cache
def _ranges(code: str) -> tuple[_Ranges, ...]:
    """Of each country with a code: its leading digits, if others have it too, and by the length of a national number a pattern of
    all that it has assigned.
    """
    found = []
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
    for region in regions:
        plan = PhoneMetadata.metadata_for_region_or_calling_code(int(code), region)
        if plan is None or plan.general_desc is None:
            continue
        leading = re.compile(plan.leading_digits) if plan.leading_digits and len(regions) > 1 else None
        kinds = [kind for name in _ASSIGNED if (kind := getattr(plan, name)) is not None]
        found.append((leading, _by_length(plan.general_desc, kinds)))
    return tuple(found)


def _by_length(general: PhoneNumberDesc, kinds: Sequence[PhoneNumberDesc]) -> Mapping[int, re.Pattern[str]]:
    found = {}
    for length in general.possible_length:
        # A kind without lengths of its own has those of all.
        patterns = [
            f"(?:{kind.national_number_pattern})"
            for kind in kinds
            if kind.national_number_pattern and (not kind.possible_length or length in kind.possible_length)
        ]
        if patterns:
            found[length] = re.compile(rf"(?=(?:{general.national_number_pattern})\Z)(?:{'|'.join(patterns)})")
    return found


def phone_of(value: str, default_country: str | None, own_country: str | None) -> str | None:
    """As ``phone_e164``, of a person whose ``own_country`` is known: a number that is valid there is read there.

    One that is none there is read in the default country where it is written for abroad, with a country code or by that country's
    trunk prefix, which people of the own one do not write: of an own country that nobody can read, with a country code alone.
    Else it may lack its area code, or be a wrong one, and what it reads as would be somebody else's.
    """
    if own_country is None or value.lstrip()[:1] == "+":
        return phone_e164(value, default_country)
    at_home = phone_at_home(value, own_country)
    if at_home is not None:
        return at_home
    country = default_country or own_country
    found = phone_e164(value, country)
    if found is None or country == own_country or found == phone_e164(value):
        return found
    return found if _is_written_for(value.strip(), found, country, own_country) else None


_FEWEST_WITH_TRUNK = 10  # digits, with the prefix: fewer may be half a number of another country


@lru_cache(maxsize=1024)  # at most 1 MiB, as of ``_phone_e164``
def _is_written_for(value: str, e164: str, country: str, own_country: str) -> bool:
    """Whether a text, read as this number in a country, says so itself: it holds the country code, or that country's trunk prefix,
    with which no number of the person's own country begins.
    """
    number, plan = phonenumbers.parse(e164), PhoneMetadata.metadata_for_region(country)
    if plan is None or not phonenumbers.is_valid_number(number):
        return False
    digits = _NO_DIGITS.sub("", _number_in(_plain(value)))
    if e164[1:] in digits:
        return True
    trunk = plan.national_prefix
    if trunk is None or _may_begin_with(trunk, own_country):
        return False
    return digits.startswith(trunk) and (len(digits) >= _FEWEST_WITH_TRUNK or _is_mobile(number))


def _may_begin_with(trunk: str, country: str) -> bool:
    """Whether people of a country begin a number so: it is their trunk prefix, too, or begins it, as the 0 that of Hungary, 06; or, as
    the 0 in Italy, it is a part of the number.
    """
    plan = PhoneMetadata.metadata_for_region(country)
    if plan is None:  # of a country that nobody can read, or without phones of its own
        return True
    fixed = phonenumbers.example_number_for_type(country, _Type.FIXED_LINE)
    is_part = fixed is not None and phonenumbers.national_significant_number(fixed).startswith(trunk)
    return (plan.national_prefix or "").startswith(trunk) or (trunk == "0" and is_part)


def phone_digests(value: str, default_countries: frozenset[str], own_country: str | None = None) -> dict[str, str]:
    """Every digest some platform needs of a plain number: ``digits`` and ``e164``, or each by default country.

    In the person's own country it is looked for first.
    """
    is_international = value.lstrip()[:1] == "+"
    if own_country is not None and not is_international:
        value = phone_at_home(value, own_country) or value
        is_international = value[:1] == "+"
        default_countries = default_countries | {own_country}
    number = phone_e164(value)
    if number is None and is_international:  # and in no country: it says itself which it is of
        return {}
    if number is not None and is_international:
        return {"digits": sha256_hex(number[1:]), "e164": sha256_hex(number)}
    by_country = {country: phone_of(value, country, own_country) for country in sorted(default_countries)}
    if number is not None and all(found == number for found in by_country.values()):
        return {"digits": sha256_hex(number[1:]), "e164": sha256_hex(number)}
    return _by_country(by_country)


UNSENT = "unsent_"  # before the names of the rules by which nothing is sent


def phone_digests_to_keep(value: str, default_countries: frozenset[str], own_country: str | None) -> dict[str, str]:
    """``phone_digests``, and behind them, under ``unsent_`` and such a key, what default countries read in it that is not sent: by
    that a person who asks finds it, as in what versions before sent.
    """
    sent = phone_digests(value, default_countries, own_country)
    if own_country is None or "digits" in sent:
        return sent
    left = {
        country: found
        for country in sorted(default_countries)
        if phone_of(value, country, own_country) is None and (found := phone_e164(value, country)) is not None
    }
    return sent | {f"{UNSENT}{rule}": digest for rule, digest in _by_country(left).items()}


def _by_country(numbers: Mapping[str, str | None]) -> dict[str, str]:
    digests = {}
    for country, found in numbers.items():
        if found is not None:  # also where another country reads it otherwise: 001 is an exit code of some
            digests[f"digits:{country}"] = sha256_hex(found[1:])
            digests[f"e164:{country}"] = sha256_hex(found)
    return digests
