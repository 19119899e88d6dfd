"""How much a value says of a person under the name that it has: whether it could be what the name promises, and its weight.

A flag, a count, a placeholder or a digest weighs nothing; some weigh only beside others. What the names promise is told in
``personal_names``, and what is taken out by these weights in ``personal``.
"""

from __future__ import annotations

import re
from enum import IntEnum

from tracklayer.domain.contact import holds_contact_or_link
from tracklayer.domain.identifiers import is_ip
from tracklayer.domain.personal_names import MOST_OF_NAME, Kind, kind_by_name


class Weight(IntEnum):
    NONE = 0
    BESIDE_OTHERS = 1  # personal where other personal data stands beside it
    SHORT = 2  # as the former, under a short name that alone says little
    SHORT_OF_PERSON = 3  # as the former, and another short one beside it makes both identifying
    PERSONAL = 4
    IDENTIFYING = 5  # and makes its neighbours personal


_IDENTIFYING = frozenset({Kind.CONTACT, Kind.EMAIL, Kind.PHONE, Kind.NAME, Kind.STREET, Kind.BIRTH, Kind.DOCUMENT})


def weigh(kind: Kind, text: str, in_url: bool) -> Weight:
    """A decoded and folded value under a name of this kind."""
    text = text.strip()
    if kind is Kind.CONTACT:
        return Weight.IDENTIFYING
    if not _could_be(kind, text):
        return Weight.NONE
    match kind:
        case Kind.ANY_NAME | Kind.ANYBODY:
            return Weight.PERSONAL if _is_person(text) else Weight.BESIDE_OTHERS
        case Kind.ADDRESSEE:
            return Weight.PERSONAL if _is_addressee(text) else Weight.BESIDE_OTHERS
        case Kind.ANY_PLACE:
            return Weight.BESIDE_OTHERS
        case Kind.ANY_ZIP:
            return Weight.BESIDE_OTHERS if in_url else Weight.PERSONAL
        case Kind.STREET:  # street=wear; who lives in one writes more
            is_word = text.isalpha() and text.islower() and not text.endswith(_STREETS)
            return Weight.BESIDE_OTHERS if is_word else Weight.IDENTIFYING
        case Kind.SHORT_PHONE | Kind.SHORT_NAME | Kind.SHORT_BIRTH:
            return Weight.SHORT_OF_PERSON
        case Kind.SHORT_GENDER | Kind.SHORT_ZIP | Kind.SHORT_EMAIL:
            return Weight.SHORT
        case Kind.SHORT_PLACE:
            return Weight.BESIDE_OTHERS
        case Kind.SHEET_PLACE:
            return Weight.BESIDE_OTHERS if in_url else Weight.PERSONAL
        case Kind.GENDER:
            return Weight.BESIDE_OTHERS if in_url and text.lower() not in _GENDERS else Weight.PERSONAL
    return Weight.IDENTIFYING if kind in _IDENTIFYING else Weight.PERSONAL


def weigh_text(text: str, in_url: bool) -> Weight:
    """A decoded and folded value under any name: contacts, and what names inside of it promise."""
    if holds_contact_or_link(text):
        return Weight.IDENTIFYING
    if "=" in text or '"' in text:
        weights = []
        for found in _INNER.finditer(text):
            name, value = (found[1], found[2]) if found[1] else (found[3], found[4] or found[5] or "")
            kind = kind_by_name(name)
            if kind:
                weight = weigh(kind, value, in_url)
                if weight >= Weight.PERSONAL:
                    return weight
                weights.append(weight)
        if len(weights) > 1 and least_taken(weights) is Weight.BESIDE_OTHERS:
            return Weight.IDENTIFYING
    return Weight.NONE


def least_taken(weights: list[Weight]) -> Weight:
    """From which weight on things are taken out, where those of these weights stand beside each other."""
    heaviest = max(weights, default=Weight.NONE)
    if heaviest is Weight.IDENTIFYING:
        return Weight.BESIDE_OTHERS
    of_person = weights.count(Weight.SHORT_OF_PERSON)
    is_person = of_person and of_person + weights.count(Weight.SHORT) > 1
    return Weight.BESIDE_OTHERS if is_person else Weight.PERSONAL


# Values ------------------------------------------------------------------------------------------------------------

_DIGEST = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}(?:\.[\w\-]{1,16})?")
_PLACEHOLDER = re.compile(r"[{\[<%*$].*[}\]>%*]|\*+|x{3,}", re.DOTALL)
# Names and values inside of a value: those of a URL, and of JSON.
_INNER = re.compile(
    rf"(?:\A|[?&;#])([^=&;#?\"]{{1,{MOST_OF_NAME}}})=([^&;#?]*)|\"([^\"\\]{{1,{MOST_OF_NAME}}})\"\s*:\s*(?:\"([^\"]*)\"|(\d+))"
)

_SAYS_NOTHING = frozenset(
    """0 1 true false yes no y n t on off ja nein oui non si null nil none undefined nan n/a na - -- ok set unset valid invalid
    verified unverified provided missing required optional unknown hidden redacted removed deleted masked hashed empty
    email e-mail mail newsletter sms phone mobile desktop tablet call chat address name home work office billing shipping
    same new default existing primary secondary other test""".split()
) | {""}
_GENDERS = frozenset(
    """f m w d x female male woman man divers diverse nonbinary non-binary other mr mrs ms miss mx herr frau monsieur madame mme
    mlle weiblich maennlich männlich femme homme mujer hombre femenino masculino feminino donna uomo vrouw dhr mevr
    transgender""".split()
)
_NO_GENDERS = frozenset("unisex kids kid child children adult adults all any both mixed baby babies".split())
_NO_LOGINS = frozenset(
    "admin administrator root system support demo user guest anonymous anonym public customer merchant taken free".split()
)
_NO_PASSWORDS = frozenset(
    """reset forgot forgotten change changed update updated recover recovery create created show hide weak medium strong wrong
    right correct incorrect expired required confirm success failed""".split()
)
# Words of states that are no place; none of them is part of a place's name.
_OF_STATUSES = frozenset(
    """stock checkout refurbished processing order orders cart basket payment shipping shipped delivered waiting awaiting backorder
    preorder available unavailable used damaged opened unopened confirmed packed returned queued submitted progress login
    logged subscribed unsubscribed anonymous""".split()
)
_DEVICE = re.compile(
    r"iphone|ipad|galaxy|pixel|xperia|redmi|xiaomi|oneplus|huawei|nokia|motorola|android|[0-9] ?(?:gb|tb|mah)(?![a-z])"
)
_SHIPPING = frozenset(
    """shipping delivery express standard free dhl ups fedex dpd gls hermes usps post mail priority economy overnight next same day
    days pickup pick click collect store international domestic courier freight parcel paket versand lieferung kostenlos ground
    saver air royal evri colissimo chronopost mondial relay postnl bpost postnord correos local flat rate two first class
    tracked signed home""".split()
)
# Brands that are called like a person.
_BRANDS = frozenset(
    " ".join(name.split())
    for name in """michael kors, thomas sabo, kate spade, georg jensen, jean paul gaultier, john deere, paul smith, marc jacobs,
    marc o'polo, tommy hilfiger, calvin klein, ralph lauren, hugo boss, karl lagerfeld, jil sander, stella mccartney, victoria
    beckham, alexander mcqueen, alexander wang, christian dior, christian louboutin, yves saint laurent, carolina herrera, daniel
    wellington, jack wolfskin, jack daniels, johnnie walker, jim beam, helena rubinstein, elizabeth arden, estee lauder, bobbi
    brown, charlotte tilbury, paula's choice, jo malone, roger vivier, vivienne westwood, james bond, harry potter, ben sherman,
    john lewis, peter hahn, peter kaiser, anna field, maria galland, max mara, tom tailor, tom ford, david yurman, dr martens,
    dr hauschka, dr oetker, mr porter, mrs meyer's, laura ashley, emily in paris, patrizia pepe, philipp plein, philip
    morris, pierre cardin, roberto cavalli, thomas cook, ted baker, eva solo, andreas stihl, robert bosch, walter knoll""".split(
        ","
    )
)
_STATUSES = frozenset(
    """open closed new paid unpaid pending active inactive complete completed cancelled canceled success failed shipped
    delivered processing ready done error draft published enabled disabled loading initial started finished expanded
    collapsed visible hidden live off on checked unchecked selected approved rejected refunded trial expired default
    all any""".split()
)
_PARTICLES = frozenset(
    "von van der den de da di del della la le el al bin ibn ter ten zu zum dos das du y e of".split()
)
_TITLES = frozenset(
    "mr mrs ms miss mx dr prof herr frau monsieur madame mme mlle senor senora sr sra dhr mevr sir".split()
)
_GIVEN = frozenset(
    """aaron adam adrian ahmed aisha alan albert alejandro alexander alexandra alexandre ali alice alicia alison amanda amelie
    amy ana anastasia anders andre andrea andreas andrei andrew angela anita anja anna anne annette anthony antoine antonio
    arjun arthur astrid barbara bart beatrice ben benjamin bernd birgit bjorn brandon brian bruno camille carl carla carlos
    carmen caroline catherine cecile celine chiara chloe chris christian christina christine christoph christopher claire
    claudia clement cristina daniel daniela david deborah denis denise deepak diana diego dirk dmitri dominik donald
    dorothy edward elena eleni elif elisabeth elizabeth ella emilia emily emma enrique eric erik erika ernst esther eva
    fabian fatima felix fernando filip francesca francesco francois frederic friedrich fritz gabriel gabriele george georg
    gerard gerhard giovanni giulia giuseppe greta gregory guillaume gustav hannah hans harald heike heinrich helen helena helga
    helmut henrik henry hiroshi ibrahim igor ines inga ingrid isabel isabella ivan jacob jacques jakob jakub james jan jane
    janet janine javier jean jennifer jens jeremy jessica joan joao joe johan johann johanna johannes john jonas jonathan
    jorg jorge jose joseph joshua juan julia julian juliane julie julien jurgen kai karen karin karl karolina katarina
    katarzyna kate katharina katherine kathrin katja kenji kevin khaled klaus krzysztof kumar kurt lars laura lauren
    laurent lea lena leon leonie linda lisa lorenzo louis louise lucas lucia luis luisa luka lukas maja malte manfred
    manuel marc marcel marco marcos marek margaret margarita maria marie marina mario marion marius markus marta martin
    martina mary mathias matteo matthew matthias max maximilian mehmet melanie melissa michael michaela michal michel
    michele michelle miguel mikhail mohamed mohammad mohammed monica monika muhammad mustafa nadia nadine nancy natalia
    natalie natasha nicholas nicolas nicole niklas nikolai nils nina noah nora oleg olga oliver olivia olivier omar oscar
    pablo patricia patrick paul paula paulo pavel pedro peter petra philip philipp philippe pierre piotr priya rachel rafael
    rahul rainer ralf raquel raul rebecca regina renate rene ricardo richard robert roberto rodrigo roland roman rosa ruth
    ryan sabine samantha samuel sandra sanjay sara sarah sebastian sergei sergio sharon silvia simon simone sofie sophie
    stefan stefanie stephan stephanie stephen steven sven susan susanne svetlana sylvia tatiana teresa theresa thomas till tim
    timothy tobias tomas torsten ulrich ulrike ursula uwe valentina vanessa vera veronika victor vikram viktor vincent
    vladimir walter werner wilhelm william wolfgang xavier yann yasmin yuki yusuf yvonne zoe иван анна мария александр
    елена ольга сергей дмитрий""".split()
)
_GOODS = frozenset(
    """dress shirt tee tshirt hoodie jacket coat jeans trousers pants skirt sweater shoes shoe boots sneaker sneakers sandals bag
    bags backpack wallet watch ring necklace bracelet perfume parfum cologne serum cream sofa chair table lamp bed desk poster
    print mug book album collection edition set kit box pack bundle sale offer deal discount coupon campaign newsletter signup
    form plan premium basic starter gold silver platinum club card gift voucher course class tour trip ticket concert show store
    shop strength points comfort power plus pro mini size type quiz test guide whisky whiskey wine beer coffee tea""".split()
)
_WHERE_WORDS_END = re.compile(r"[\s_,+]+")


_STREETS = (
    "str",
    "strasse",
    "street",
    "road",
    "avenue",
    "weg",
    "gasse",
    "allee",
    "platz",
    "straat",
    "gatan",
    "vej",
    "ulica",
)


def _could_be(kind: Kind, text: str) -> bool:
    lower = text.lower()
    if short := _LONG_KINDS.get(kind):
        return _fits_short(kind, text) and _could_be(short, text)
    if kind is Kind.IP:
        return is_ip(text.partition(",")[0])
    if kind is Kind.GENDER:
        return (
            len(text) <= 20
            and lower not in _NO_GENDERS
            and (lower in _GENDERS or (lower not in _SAYS_NOTHING and text[:1].isalpha()))
        )
    if lower in _SAYS_NOTHING and kind is not Kind.HOUSE:
        return False
    if _DIGEST.fullmatch(text) or _PLACEHOLDER.fullmatch(lower):
        return False
    digits = sum(map(str.isdecimal, text))
    letters = sum(map(str.isalpha, text))
    match kind:
        case Kind.PHONE:
            return 6 <= digits <= 20 and letters <= 8 and not (letters and _DEVICE.search(lower))
        case Kind.HOUSE:
            return digits >= 1 and len(text) <= 12
        case Kind.ZIP | Kind.ANY_ZIP:
            return digits >= 2 and len(text) <= 12
        case Kind.BIRTH:
            return digits >= 2 or (digits >= 1 and letters >= 3)
        case Kind.DOCUMENT:
            return digits >= 4 and len(text) <= 50
        case Kind.PLACE | Kind.SHEET_PLACE | Kind.ANY_PLACE:
            return letters >= 2 and digits == 0 and len(text) <= 60 and not _is_status(lower)
        case Kind.ANY_NAME | Kind.ADDRESSEE:
            return letters >= 2 and digits == 0 and len(text) <= 60 and _is_no_thing(text)
        case Kind.STREET:
            return letters >= 1 and not lower.startswith(("0x", "http://", "https://"))
        case Kind.ANYBODY:
            return letters >= 4 and digits == 0 and len(text) <= 60 and len(_words(text)) > 1 and _is_no_thing(text)
        case Kind.PASSWORD:
            return lower not in _NO_PASSWORDS
        case Kind.LOGIN:
            return letters >= 1 and lower not in _NO_LOGINS
    return letters >= 1


_LONG_KINDS = {
    Kind.SHORT_EMAIL: Kind.EMAIL, Kind.SHORT_PHONE: Kind.PHONE, Kind.SHORT_NAME: Kind.NAME, Kind.SHORT_BIRTH: Kind.BIRTH,
    Kind.SHORT_GENDER: Kind.GENDER, Kind.SHORT_PLACE: Kind.PLACE, Kind.SHORT_ZIP: Kind.ZIP,
}  # fmt: skip
_SHORT_NAME = re.compile(r"[^\W\d_]{3,30}(?:[ '\-][^\W\d_]{1,30}){0,3}|[^\W\d_a-z][^\W\d_]")  # no language: en
_SHORT_BIRTH = re.compile(r"(?:19|20)\d{6}|(?:19|20)\d\d-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d")


def _fits_short(kind: Kind, text: str) -> bool:
    """Whether a value is what Meta's short names promise, beyond doubt."""
    match kind:
        case Kind.SHORT_PHONE:
            return sum(map(str.isdecimal, text)) >= 10 and not any(map(str.isalpha, text))
        case Kind.SHORT_NAME:
            return _SHORT_NAME.fullmatch(text) is not None and not _is_status(text.lower())
        case Kind.SHORT_BIRTH:
            return _SHORT_BIRTH.fullmatch(text) is not None
        case Kind.SHORT_GENDER:
            return text.lower() in _GENDERS
    return True


def _is_status(lower: str) -> bool:
    return lower in _STATUSES or not _OF_STATUSES.isdisjoint(_words(lower))


def _is_no_thing(text: str) -> bool:
    return _GOODS.isdisjoint(word.lower() for word in _words(text))


def _words(text: str) -> list[str]:
    return [word.strip(".") for word in _WHERE_WORDS_END.split(text)]


def _is_person(text: str) -> bool:
    """A title or a common given name, and a surname, all with capitals."""
    words = [word for word in _words(text) if word]
    if not 2 <= len(words) <= 5:
        return False
    for word in words:
        if word.lower() not in _PARTICLES and not (
            word[0].isupper() and word.replace("-", "").replace("'", "").isalpha()
        ):
            return False
    if " ".join(words).lower() in _BRANDS:
        return False
    first = {words[0].lower(), words[0].lower().partition("-")[0]}
    if "," in text:
        first.add(words[-1].lower())
    return not first.isdisjoint(_GIVEN) or words[0].lower() in _TITLES


def _is_addressee(text: str) -> bool:
    """Two words or more with capitals, as people have them and ways to ship have not."""
    words = [word for word in _words(text) if word]
    if not 2 <= len(words) <= 5 or not _SHIPPING.isdisjoint(word.lower() for word in words):
        return False
    return all(
        word.lower() in _PARTICLES or (not word[0].islower() and word.replace("-", "").replace("'", "").isalpha())
        for word in words
    )
