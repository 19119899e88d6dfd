"""Finds personal data in plain text where no platform may get it: in URLs, and in properties of the merchant's own.

An ad platform gets people in hashed fields made for it. What else names a person is taken out, and the name of the
parameter or property is told, never its value:

- **By name**: what says email, phone, a person's name, street, postcode, date of birth, gender, an identity document, a
  password, an IP address, in the usual spellings (``firstName``, ``customer[email]``, ``billing_phone``, ``vorname``),
  and holds what could be one. A flag, a count, a placeholder or a digest stays (``email=1``, ``mobile=true``), and so
  does what only begins so (``email_campaign``, ``phone_model``, ``product_name``).
- **By value, whatever the name**: an e-mail address, a phone number with + that is valid, a ``tel:`` link, also inside
  longer text, percent-encoded, or inside a URL or JSON within the value. Bare digits are an order number.

Where the name alone does not tell, what stands beside it does:

- ``city``, ``state``, ``country`` and their like choose a shop or filter a list in a URL far more often than they tell
  where somebody lives: there they go beside an email, phone, name, street or date of birth (a form that was sent with
  GET), or when their own name says whose they are (``billing_city``). As properties the three always go.
- ``gender`` goes as a property; in a URL ``gender=female`` goes, ``gender=women`` is a filter and goes beside others only.
- ``name``, ``customer``, ``contact`` name a product, a plan or a segment as often: they go with a title or a common
  given name and a surname (``Jane Doe``), and beside others. ``username`` goes: Google counts it among personal data.
- A postcode whose name does not say whose it is looks for a shop in a URL: there it goes beside others. ``shipping_name``
  and ``ansprechpartner`` go with two words that name no way to ship.
- Meta's short names (``em``, ``ph``, ``fn``, ``ln``, ``db``, ``ge``, ``ct``, ``st``, ``zp``) go beside something that
  identifies, and where two of them but ``ct`` and ``st`` hold what they promise, of which one is a name, a
  phone or a date of birth.
- ``mail`` and ``email_id`` name a mailing as often: they go by value only.

What no list knows stays: a name under ``x``, a national phone number under ``q``, the base64 of an address under ``id``.
What looks like an address is taken for one: a campaign called ``DE@Brand.Search`` goes.

Most of this file is tables. Sources: Meta's advice on unhashed contact information and the list that RudderStack's
Facebook destination deletes (email to country), read 2026-11-20; Google, "Understanding PII in Google's contracts and
policies" (answer 7686480: "full names or usernames"), read 2026-11-28.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum, IntEnum, auto
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import phonenumbers

from tracklayer.domain.identifiers import is_ip
from tracklayer.domain.text import decimal_digits, with_few_marks, without_invisible

MAX_URL = 32 * 1024  # characters: browsers and servers give up before


def without_personal_url(url: str) -> tuple[str, tuple[str, ...]]:
    """The URL without the parameters, path segments and credentials that hold personal data, and what was taken.

    Taken are names of parameters (decoded), ``path``, ``fragment`` and ``query`` for what has no name of its own, and
    ``userinfo`` for ``user:password@``. What stays, stays byte for byte; where all does, the very same text comes back.
    Never raises, of any text; the time grows with its length. One that is too long to be searched goes as a whole.
    """
    if len(url) > MAX_URL:
        return "", ("url",)
    if "?" not in url and "@" not in url and "%" not in url and "#" not in url and ";" not in url and "+" not in url:
        return (url, ()) if url.isascii() else _clean_url(url)
    if url[:4] != "http" or url.find(":", _SCHEME) > 0 or "@" in url or "#" in url or ";" in url or not url.isascii():
        return _clean_url(url)
    query = url.partition("?")[2]
    if (
        "?" in query
        or query.count("=") > query.count("&") + 1
        or len(url) > _MOST_OF_EVERYDAY
        or ("%" in url and _ENCODED_SIGN(url))
        or ("+" in url and _PLUS(url))
    ):
        return _clean_url(url)
    for part in query.split("&"):
        if _kind(part.partition("=")[0]):
            return _clean_url(url)
    return url, ()


def without_personal_properties(properties: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The properties without those that hold personal data, and the names of these.

    One that is a web address keeps its place and loses its personal parameters only; its name is among the names, too.
    Where nothing is taken the very same mapping comes back. Never raises, of any values.
    """
    for key, value in properties.items():
        if _kind(key):
            return _clean_properties(properties)
        if value.__class__ is str:
            if not value.isalnum() and _may_hold_contact(value):
                return _clean_properties(properties)
        elif value.__class__ not in _PLAIN:
            return _clean_properties(properties)
    return properties, ()


def holds_contact(text: str) -> bool:
    """Whether an e-mail address or a phone number with + stands in a text, such as a title or what somebody searched for.

    By value alone: full-width, percent-encoded and within longer text, too. Never raises; most texts take 0.2 µs.
    """
    if "@" in text or "+" in text or "%" in text:
        is_plain = text.isascii() and "@" not in text and not _PLUS(text) and not ("%" in text and _ENCODED_SIGN(text))
    else:
        is_plain = text.isascii() or not _WIDE(text)
    return not is_plain and _holds_address_or_number(_decoded(text))


def contacts_within(text: str) -> tuple[list[str], list[str]]:
    """The addresses and the phone numbers with + that stand in a text, as ``holds_contact`` finds them: the latter without what
    stands behind them. Of an address what stands before it without a blank or a sign between them is taken for a part of it.
    """
    plain = _decoded(text)
    emails = [
        before[0] + found[0] for found in _hosts_in(plain) if (before := _LOCAL_PART.search(plain[: found.start()]))
    ]
    return emails, list(_phones_in(plain))


def may_hold_contact(text: str) -> bool:
    """False where ``holds_contact`` finds nothing in any part of a text, such as the JSON of many fields."""
    return "@" in text or "+" in text or "%" in text or not (text.isascii() or _WIDE(text) is None)


# Names -------------------------------------------------------------------------------------------------------------


class _Kind(Enum):
    EMAIL = auto()
    PHONE = auto()
    NAME = auto()
    ANY_NAME = auto()  # of a person, a product, a plan
    ADDRESSEE = auto()  # a person, or a way to ship
    ANYBODY = auto()  # a person, or a segment
    LOGIN = auto()
    PASSWORD = auto()
    CONTACT = auto()  # the name is an address or a phone number itself
    STREET = auto()
    HOUSE = auto()
    ZIP = auto()
    ANY_ZIP = auto()  # of a person, or of a shop that is looked for
    BIRTH = auto()
    GENDER = auto()
    DOCUMENT = auto()
    IP = auto()
    PLACE = auto()  # where a person lives, says its name
    SHEET_PLACE = auto()  # on Meta's list of property names
    ANY_PLACE = auto()
    SHORT_EMAIL = auto()  # as Meta calls it: ``em``
    SHORT_PHONE = auto()
    SHORT_NAME = auto()
    SHORT_BIRTH = auto()
    SHORT_GENDER = auto()
    SHORT_PLACE = auto()
    SHORT_ZIP = auto()


_NAMES_OF = {
    _Kind.EMAIL: """email emails emailaddress emailaddr emailadresse emailadress emailadr emailaddresses mailaddr mailaddress mailadresse mailadress
        adresseemail adressemail adresseelectronique courriel correo correoelectronico direccioncorreo emailcliente
        correocliente indirizzoemail enderecoemail epost epostadresse epostadress sahkoposti emailadres eposta
        почта электроннаяпочта 邮箱 电子邮箱 电子邮件 メール メールアドレス 이메일""",
    _Kind.PHONE: """phone phones phonenumbers phno tlf tlfn mob mobno cellno nrotelefono mobilnr phonenumber phoneno phonenr phonenum telephone telephonenumber telephoneno telno telnr
        telnumber tel telefon telefonnummer telefonnr telefono telefone telefoon telefoonnummer numerotelefono
        numerodetelefono numerotelephone numerodetelephone numerotelefone telephoneclient telefonocliente mobile
        mobileno mobilenumber mobilenr mobilephone mobilephonenumber mobil mobilnummer mobiltelefon mobiel mobielnummer
        mobilfunk mobilfunknummer handy handynummer handynr cell cellphone cellphonenumber cellnumber cellular celular
        numerocelular cellulare movil telefonomovil portable gsm gsmnumber msisdn whatsapp whatsappnumber whatsappno
        wanumber rufnummer contactno contactnumber contactnum contactnr landline fax faxnumber puhelin puhelinnumero
        telefonszam telepon nomortelepon nohp nomorhp dienthoai sodienthoai ceptelefonu
        телефон мобильный мобильныйтелефон номертелефона 电话 電話 电话号码 電話番号 手机 手机号 手机号码 携帯電話
        전화번호 휴대폰 휴대폰번호 연락처""",
    _Kind.NAME: """firstname fname givenname forename vorname vornamen prenom prenoms primernombre primeironome voornaam
        fornavn fornamn etunimi imie jmeno keresztnev lastname lname surname familyname nachname familienname zuname
        nomfamille nomdefamille apellido apellidos apellidopaterno apellidomaterno sobrenome cognome achternaam
        efternavn efternamn etternavn sukunimi nazwisko prijmeni vezeteknev soyad soyadi middlename maidenname
        secondname additionalname fullname realname completename vorundnachname vornachname nomeesobrenome firstandlastname firstlastname nomcomplet nombrecompleto nomecompleto
        nomecognome nomeecognome nombreyapellidos nombreapellidos nomprenom nometprenom volledigenaam vollername nameoncard
        cardholdername nomclient prenomclient nombrecliente nomecliente kundenname
        имя фамилия отчество фио 姓名 名前 氏名 お名前 이름 성명 성함""",
    _Kind.ANY_NAME: "name displayname nom nome nombre naam navn",
    _Kind.ADDRESSEE: "contactperson personadecontacto contactpersoon kontaktperson ansprechpartner ansprechpartnerin",
    _Kind.ANYBODY: """customer buyer contact recipient client user cardholder guest person kunde kundin cliente
        empfanger attendee passenger patient subscriber purchaser shopper consignee orderedby placedby soldto shipto
        billto usuario acheteur comprador""",
    _Kind.LOGIN: """username userlogin loginname benutzername nomutilisateur nombreusuario nombredeusuario nickname""",
    _Kind.PASSWORD: """password passwd pwd passwort kennwort motdepasse contrasena senha wachtwoord passphrase""",
    _Kind.STREET: """street streetname streetaddress streetline address addresses addressline addrline addressstreet addr
        fulladdress postaladdress residentialaddress strasse strassenname strassehausnummer strasseundhausnummer strassenr
        anschrift adresse adresszeile lieferadresse rechnungsadresse lieferanschrift rechnungsanschrift direccion calle
        domicilio rue adresseclient direccioncliente indirizzo endereco logradouro adres straat straatnaam adress
        gatuadress gateadresse osoite katuosoite ulica adresa adresi адрес улица 地址 住所 주소""",
    _Kind.HOUSE: "streetnumber streetno housenumber houseno housenr hausnummer hausnr huisnummer",
    _Kind.ZIP: """zip zipcode postcode postalcode postal postleitzahl plz postnummer postnumber codigopostal codepostal
        codicepostale cep kodpocztowy pincode zippostal zippostalcode индекс 邮编 郵便番号 우편번호""",
    _Kind.BIRTH: """dob dateofbirth birthdate birthday bday birthyear yearofbirth birthmonth monthofbirth bdayday bdaymonth bdayyear dateofbirthday
        dateofbirthmonth dateofbirthyear dateborn geburtsdatum geburtstag geburtsjahr gebdatum fechanacimiento fechadenacimiento datenaissance
        datedenaissance datanascimento datadenascimento datanascita datadinascita geboortedatum fodselsdato fodelsedatum
        dataurodzenia датарождения 生日 出生日期 生年月日 생년월일""",
    _Kind.GENDER: "gender sex geschlecht sexe sexo sesso geslacht civilite anrede salutation пол 性别",
    _Kind.DOCUMENT: """ssn socialsecurity socialsecuritynumber socialsecurityno taxid taxidnumber taxnumber taxpayerid tin
        itin steuerid steuernummer steueridentifikationsnummer sozialversicherungsnummer passport passportnumber
        passportno passportnr passportid reisepass reisepassnummer ausweisnummer personalausweis personalausweisnummer
        iban ibannumber bankaccount bankaccountnumber kontonummer driverlicense driverlicence driverslicense
        driverslicence driverlicensenumber driverslicensenumber drivinglicence drivinglicencenumber nationalid
        nationalidnumber nationalinsurancenumber nino idcard idcardnumber identitycard identitycardnumber identitynumber
        socialinsurancenumber personnummer cpf curp dni nif nie pesel bsn codicefiscale fiscalcode aadhaar aadhar
        aadhaarnumber паспорт инн снилс 身份证 身份证号""",
    _Kind.IP: "ip ipaddress ipaddr ipv remoteaddr remoteip xforwardedfor",
    _Kind.PLACE: "wohnort hometown placeofresidence placeofbirth birthplace",
    _Kind.ANY_PLACE: """city town locality suburb state province region county country countrycode stadt ort
        bundesland ciudad ville citta cidade plaats provincia estado pais pays land город страна 城市""",
}

# Whose it is: with these a name, a city or a country is a person's.
_PERSONS = frozenset(
    """customer customers cust user users usr buyer client invitee contact recipient receiver guest member subscriber lead person personal
    shopper purchaser payer cardholder holder owner visitor student patient passenger driver attendee participant
    applicant donor employee billing bill kunde kunden kundin kaeufer benutzer besteller empfanger rechnung
    cliente usuario utilisateur utente comprador acheteur facturation facturacion insured""".split()
)
_POSTAL = frozenset("billing bill shipping ship delivery home address mailing liefer lieferung livraison envio".split())
_LEADING = (  # says nothing about what comes behind
    _PERSONS
    | _POSTAL
    | frozenset(
        """my your the new old primary secondary alternate alternative alt main default work private business office other
        confirm confirmation repeat confirmed form forms field fields input data value values details info attributes
        attribute traits trait properties property props custom profile account order checkout invoice registration
        register signup login mobile cell daytime evening day emergency wc woocommerce wpforms wp cf mce merge hs
        stripe paypal shopify q x frm txt str u ud hidden parent child tenant borrower""".split()
    )
)
_OFTEN_THINGS = frozenset("lead".split())  # lead_name: of a form as often
_TRAILING = frozenset(
    "value field input text raw plain c cliente kunde billing shipping hidden full national international mobile".split()
)
_BEFORE_NAME = frozenset(
    "lead my your account profile order shipping ship delivery data traits user attributes".split()
)
# So clear that what stands before them matters only when it says that no customer is meant.
_CLEAR = frozenset(
    """firstname fname lastname lname surname familyname givenname fullname middlename maidenname vorname nachname prenom
    apellido apellidos cognome sobrenome achternaam phone phonenumber telephone telephonenumber telefon telefonnummer
    telefono telefone mobilenumber mobilephone cellphone emailaddress dateofbirth dob birthdate geburtsdatum ssn
    socialsecuritynumber passportnumber""".split()
)
_NO_CUSTOMERS = frozenset(
    """is has had show hide sort sorted by require requires required with without no not allow use enable company store shop
    support merchant seller vendor supplier warehouse brand hotel restaurant event venue agent agency author artist actor
    player director character team service hotline help sales branch location site website organization organisation org
    dealer retailer publisher producer product item campaign sku category model device pet dog number count total
    test i""".split()
)
_META_KEYS = {  # ud[em] and user_data[em], as Meta's pixel writes them
    "em": _Kind.EMAIL, "ph": _Kind.PHONE, "fn": _Kind.NAME, "ln": _Kind.NAME, "db": _Kind.BIRTH, "ge": _Kind.GENDER,
    "ct": _Kind.PLACE, "st": _Kind.PLACE, "zp": _Kind.ZIP,
}  # fmt: skip
_SHORT_KEYS = {  # the same alone: they name a function, a language, a store as often
    "em": _Kind.SHORT_EMAIL, "ph": _Kind.SHORT_PHONE, "fn": _Kind.SHORT_NAME, "ln": _Kind.SHORT_NAME, "db": _Kind.SHORT_BIRTH,
    "ge": _Kind.SHORT_GENDER, "ct": _Kind.SHORT_PLACE, "st": _Kind.SHORT_PLACE, "zp": _Kind.SHORT_ZIP,
}  # fmt: skip
_ON_SHEET = frozenset({"city", "state", "country"})
_MOST_OF_NAME = 100  # characters: a longer one says nothing
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_MARKS = re.compile(r"[\u0300-\u036f\u3099\u309a]")


def _folded(text: str) -> str:
    """Without accents and invisible characters, in plain forms of full-width and the like."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", with_few_marks(without_invisible(text)))
    letters = _MARKS.sub("", apart).replace("ß", "ss").replace("ł", "l").replace("ø", "o")
    return unicodedata.normalize("NFC", letters)


_KINDS = {_folded(name): kind for kind, names in _NAMES_OF.items() for name in names.split()}
_GLUED = re.compile("|".join(sorted((word for word in _LEADING if len(word) > 3), key=len, reverse=True)))


@lru_cache(maxsize=4096)
def _kind(name: str) -> _Kind | None:
    """What a parameter or property of this name holds, if its value looks like that; None: nothing personal."""
    if "%" in name or not name.isascii():
        name = _decoded(name)
    if ("@" in name or "+" in name) and _holds_contact(name):
        return _Kind.CONTACT
    if len(name) > _MOST_OF_NAME:
        return None
    if len(name) == 2 and (short := _SHORT_KEYS.get(name.lower())):
        return short
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or len(words) > 12:
        return None
    if "to" in words[1:]:  # ship_to_name
        at = words.index("to", 1)
        if words[at - 1] in ("ship", "bill", "deliver", "sold"):
            words[at - 1 : at + 1] = ["shipping" if words[at - 1] == "ship" else "billing"]
    while len(words) > 1 and words[-1] in _TRAILING and "".join(words) not in _KINDS:
        words.pop()
    for start in range(len(words)):
        if kind := _KINDS.get("".join(words[start:])):
            return _qualified(kind, words[:start], words[start:])
        if words[start] not in _LEADING:
            break
    for start in range(1, len(words)):
        head = "".join(words[start:])
        if head in _CLEAR:
            return _KINDS[head] if _NO_CUSTOMERS.isdisjoint(words[:start]) else None
    if words[-1] in _META_KEYS and words[:-1] in (["ud"], ["user", "data"]):
        return _META_KEYS[words[-1]]
    return _glued(words[-1], words[:-1])


def _glued(word: str, before: list[str]) -> _Kind | None:
    """Of names without anything between their words: ``billingphone``."""
    if any(other not in _LEADING for other in before):
        return None
    leading = list(before)
    while found := _GLUED.match(word):
        leading.append(found[0])
        word = word[found.end() :]
        kind = _KINDS.get(word)
        if kind:
            return _qualified(kind, leading, [word])
    return None


def _qualified(kind: _Kind, before: list[str], words: list[str]) -> _Kind | None:
    """With what the words before it say."""
    if kind is _Kind.ANY_PLACE:
        word = "".join(words)
        owners = _POSTAL if word in ("state", "province", "region", "estado") else _PERSONS | _POSTAL
        if before and before[-1] in owners:
            return _Kind.PLACE
        if before:
            return None
        return _Kind.SHEET_PLACE if word in _ON_SHEET else _Kind.ANY_PLACE
    if kind is _Kind.ANY_NAME and before:
        if before[-1] in _PERSONS and before[-1] not in _OFTEN_THINGS:
            return _Kind.NAME
        if before[-1] in ("shipping", "ship", "delivery"):
            return _Kind.ADDRESSEE
        return kind if before[-1] in _BEFORE_NAME else None
    if kind is _Kind.ZIP and not before:
        return _Kind.ANY_ZIP
    return None if kind is _Kind.ANYBODY and before else kind


# Values ------------------------------------------------------------------------------------------------------------

_PLAIN = frozenset({str, int, float, bool, Decimal, type(None)})
_SCHEME = 8  # characters of https://
_MOST_OF_EVERYDAY = 2000  # characters of a URL whose names of parameters are kept in memory

# Only what stands right before the @ and behind it is looked at: any text takes linear time.
_ADDRESS = re.compile(
    r"(?<=[\w.\-'\"~!$])@(?!v?\d+\.\d)(?:[\w\-]{1,63}\.){1,10}(xn--[\w\-]{1,59}|[^\W\d_]{2,63})", re.IGNORECASE
)
_LOCAL_PART = re.compile(r"[^\s@<>()\[\]{},:;|/\\=&?#\"]{1,64}\Z")
_FILES = frozenset("png jpg jpeg gif svg webp avif ico css js mjs json htm html php pdf mp4 webm txt xml woff".split())
_BETWEEN = r"[\s().\-/\u2010-\u2015]{0,3}"
_PHONE = re.compile(rf"(?<![^\W_])(?<!\+)\+{_BETWEEN}\d(?:{_BETWEEN}\d){{6,14}}(?!\d)")
_PHONE_LINK = re.compile(rf"(?<![a-z])(?:tel|callto|sms|smsto):(?:{_BETWEEN}\+?{_BETWEEN}\d){{6}}", re.IGNORECASE)
_COORDINATE = re.compile(r"\+\d{1,3}\.\d{4,}")  # with its sign
_LAST_GROUP = re.compile(r"[^0-9]+\d+\Z")
_FEWEST_BEFORE_OTHERS = 9  # digits of a phone that others follow
_PLUS = re.compile(rf"\+{_BETWEEN}\d").search
_COLON = re.compile(r"[LOPSlops\"\s]:").search  # behind tel, sms, http, a name in JSON
# Those of " # % & + @ : ; = ? and the first byte of full-width and invisible characters.
_ENCODED_SIGN = re.compile(r"%(?:2[2356Bb]|40|3[ABDFabdf]|[Ee][Ff2])").search
_WIDE = re.compile(r"[\ufe50-\ufe6f\uff00-\uffef]").search
_PHONE_ALONE = re.compile(r"\+[\d\s().\-/+]+")
_DIGEST = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}(?:\.[\w\-]{1,16})?")
_PLACEHOLDER = re.compile(r"[{\[<%*$].*[}\]>%*]|\*+|x{3,}", re.DOTALL)
# Names and values inside of a value: those of a URL, and of JSON.
_INNER = re.compile(
    rf"(?:\A|[?&;#])([^=&;#?\"]{{1,{_MOST_OF_NAME}}})=([^&;#?]*)|\"([^\"\\]{{1,{_MOST_OF_NAME}}})\"\s*:\s*(?:\"([^\"]*)\"|(\d+))"
)
_MOST_ENCODINGS = 4

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


def _may_hold_contact(text: str) -> bool:
    """False for most texts, as they are sent, that hold neither a contact nor names inside."""
    if not text.isascii() and ("+" in text or _WIDE(text)):
        return True
    return (
        "@" in text
        or ("%" in text and _ENCODED_SIGN(text) is not None)
        or ("+" in text and _PLUS(text) is not None)
        or (":" in text and _COLON(text) is not None)
        or "=" in text
    )


def _holds_contact(text: str) -> bool:
    """Whether an e-mail address or a phone number stands in plain text that was decoded and folded."""
    return _holds_address_or_number(text) or (":" in text and _PHONE_LINK.search(text) is not None)


def _holds_address_or_number(text: str) -> bool:
    return any(True for _ in _hosts_in(text)) or any(True for _ in _phones_in(text))


def _hosts_in(text: str) -> Iterator[re.Match[str]]:
    """Of each address in a text the part from its @ on."""
    if "@" in text:
        for found in _ADDRESS.finditer(text):
            if found[1].lower() not in _FILES:
                yield found


def _phones_in(text: str) -> Iterator[str]:
    """Each valid number with + in a text, without what stands behind it."""
    if "+" in text:
        for found in _PHONE.finditer(text):
            if (number := _phone_of(found[0])) is not None:
                yield number


def _phone_of(found: str) -> str | None:
    """The valid number of a + and digits with signs between them; behind it other digits may stand."""
    if _COORDINATE.match(found):
        return None
    while True:
        digits = decimal_digits(found)
        if _is_valid_phone(digits):
            return f"+{digits}"
        shorter = _LAST_GROUP.sub("", found)
        if shorter == found or sum(map(str.isdecimal, shorter)) < _FEWEST_BEFORE_OTHERS:
            return None
        found = shorter


@lru_cache(maxsize=1024)
def _is_valid_phone(digits: str) -> bool:
    """Digits with the country code, a 0 behind it forgiven, as in +49 (0)171: valid, says the phone library."""
    for length in (1, 2, 3):
        code = int(digits[:length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            national = digits[length:]
            return _is_valid_in(code, national) or (national[:1] == "0" and _is_valid_in(code, national[1:]))
    return False


def _is_valid_in(code: int, national: str) -> bool:
    if not any(pattern.fullmatch(national) for pattern in _numbering_plan(code)):
        return False
    zeros = len(national) - len(national.lstrip("0"))
    number = phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
    return bool(phonenumbers.is_valid_number(number))


@cache
def _numbering_plan(code: int) -> tuple[re.Pattern[str], ...]:
    found = (
        phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]
    )
    plans = (plan.general_desc.national_number_pattern for plan in found if plan and plan.general_desc)
    return tuple(re.compile(pattern) for pattern in plans if pattern)


class _Weight(IntEnum):
    NONE = 0
    BESIDE_OTHERS = 1  # personal where other personal data stands beside it
    SHORT = 2  # as the former, under a short name that alone says little
    SHORT_OF_PERSON = 3  # as the former, and another short one beside it makes both identifying
    PERSONAL = 4
    IDENTIFYING = 5  # and makes its neighbours personal


_IDENTIFYING = frozenset(
    {_Kind.CONTACT, _Kind.EMAIL, _Kind.PHONE, _Kind.NAME, _Kind.STREET, _Kind.BIRTH, _Kind.DOCUMENT}
)


def _weigh(kind: _Kind, text: str, in_url: bool) -> _Weight:
    """A decoded and folded value under a name of this kind."""
    text = text.strip()
    if kind is _Kind.CONTACT:
        return _Weight.IDENTIFYING
    if not _could_be(kind, text):
        return _Weight.NONE
    match kind:
        case _Kind.ANY_NAME | _Kind.ANYBODY:
            return _Weight.PERSONAL if _is_person(text) else _Weight.BESIDE_OTHERS
        case _Kind.ADDRESSEE:
            return _Weight.PERSONAL if _is_addressee(text) else _Weight.BESIDE_OTHERS
        case _Kind.ANY_PLACE:
            return _Weight.BESIDE_OTHERS
        case _Kind.ANY_ZIP:
            return _Weight.BESIDE_OTHERS if in_url else _Weight.PERSONAL
        case _Kind.STREET:  # street=wear; who lives in one writes more
            is_word = text.isalpha() and text.islower() and not text.endswith(_STREETS)
            return _Weight.BESIDE_OTHERS if is_word else _Weight.IDENTIFYING
        case _Kind.SHORT_PHONE | _Kind.SHORT_NAME | _Kind.SHORT_BIRTH:
            return _Weight.SHORT_OF_PERSON
        case _Kind.SHORT_GENDER | _Kind.SHORT_ZIP | _Kind.SHORT_EMAIL:
            return _Weight.SHORT
        case _Kind.SHORT_PLACE:
            return _Weight.BESIDE_OTHERS
        case _Kind.SHEET_PLACE:
            return _Weight.BESIDE_OTHERS if in_url else _Weight.PERSONAL
        case _Kind.GENDER:
            return _Weight.BESIDE_OTHERS if in_url and text.lower() not in _GENDERS else _Weight.PERSONAL
    return _Weight.IDENTIFYING if kind in _IDENTIFYING else _Weight.PERSONAL


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


def _could_be(kind: _Kind, text: str) -> bool:
    lower = text.lower()
    if short := _LONG_KINDS.get(kind):
        return _fits_short(kind, text) and _could_be(short, text)
    if kind is _Kind.IP:
        return is_ip(text.partition(",")[0])
    if kind is _Kind.GENDER:
        return (
            len(text) <= 20
            and lower not in _NO_GENDERS
            and (lower in _GENDERS or (lower not in _SAYS_NOTHING and text[:1].isalpha()))
        )
    if lower in _SAYS_NOTHING and kind is not _Kind.HOUSE:
        return False
    if _DIGEST.fullmatch(text) or _PLACEHOLDER.fullmatch(lower):
        return False
    digits = sum(map(str.isdecimal, text))
    letters = sum(map(str.isalpha, text))
    match kind:
        case _Kind.PHONE:
            return 6 <= digits <= 20 and letters <= 8 and not (letters and _DEVICE.search(lower))
        case _Kind.HOUSE:
            return digits >= 1 and len(text) <= 12
        case _Kind.ZIP | _Kind.ANY_ZIP:
            return digits >= 2 and len(text) <= 12
        case _Kind.BIRTH:
            return digits >= 2 or (digits >= 1 and letters >= 3)
        case _Kind.DOCUMENT:
            return digits >= 4 and len(text) <= 50
        case _Kind.PLACE | _Kind.SHEET_PLACE | _Kind.ANY_PLACE:
            return letters >= 2 and digits == 0 and len(text) <= 60 and not _is_status(lower)
        case _Kind.ANY_NAME | _Kind.ADDRESSEE:
            return letters >= 2 and digits == 0 and len(text) <= 60 and _is_no_thing(text)
        case _Kind.STREET:
            return letters >= 1 and not lower.startswith(("0x", "http://", "https://"))
        case _Kind.ANYBODY:
            return letters >= 4 and digits == 0 and len(text) <= 60 and len(_words(text)) > 1 and _is_no_thing(text)
        case _Kind.PASSWORD:
            return lower not in _NO_PASSWORDS
        case _Kind.LOGIN:
            return letters >= 1 and lower not in _NO_LOGINS
    return letters >= 1


_LONG_KINDS = {
    _Kind.SHORT_EMAIL: _Kind.EMAIL, _Kind.SHORT_PHONE: _Kind.PHONE, _Kind.SHORT_NAME: _Kind.NAME, _Kind.SHORT_BIRTH: _Kind.BIRTH,
    _Kind.SHORT_GENDER: _Kind.GENDER, _Kind.SHORT_PLACE: _Kind.PLACE, _Kind.SHORT_ZIP: _Kind.ZIP,
}  # fmt: skip
_SHORT_NAME = re.compile(r"[^\W\d_]{3,30}(?:[ '\-][^\W\d_]{1,30}){0,3}|[^\W\d_a-z][^\W\d_]")  # no language: en
_SHORT_BIRTH = re.compile(r"(?:19|20)\d{6}|(?:19|20)\d\d-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d")


def _fits_short(kind: _Kind, text: str) -> bool:
    """Whether a value is what Meta's short names promise, beyond doubt."""
    match kind:
        case _Kind.SHORT_PHONE:
            return sum(map(str.isdecimal, text)) >= 10 and not any(map(str.isalpha, text))
        case _Kind.SHORT_NAME:
            return _SHORT_NAME.fullmatch(text) is not None and not _is_status(text.lower())
        case _Kind.SHORT_BIRTH:
            return _SHORT_BIRTH.fullmatch(text) is not None
        case _Kind.SHORT_GENDER:
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


def _decoded(text: str) -> str:
    """Percent-encoding taken off, however often it was put on, then folded."""
    return _folded(_unquoted(text))


def _unquoted(text: str, most: int = _MOST_ENCODINGS) -> str:
    for _ in range(most):
        if "%" not in text or (plain := unquote(text)) == text:
            break
        text = plain
    return text


def _weigh_text(text: str, in_url: bool) -> _Weight:
    """A decoded and folded value under any name: contacts, and what names inside of it promise."""
    if _holds_contact(text):
        return _Weight.IDENTIFYING
    if "=" in text or '"' in text:
        weights = []
        for found in _INNER.finditer(text):
            name, value = (found[1], found[2]) if found[1] else (found[3], found[4] or found[5] or "")
            kind = _kind(name)
            if kind:
                weight = _weigh(kind, value, in_url)
                if weight >= _Weight.PERSONAL:
                    return weight
                weights.append(weight)
        if len(weights) > 1 and _least_taken(weights) is _Weight.BESIDE_OTHERS:
            return _Weight.IDENTIFYING
    return _Weight.NONE


# URLs --------------------------------------------------------------------------------------------------------------

_AUTHORITY = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.\-]*:)?//([^/?#\\]*)")
_CREDENTIALS = re.compile(r".*(?:@|%(?:25)*40)", re.DOTALL)
_IN_PATH = re.compile(r"([/;])")
_IN_QUERY = re.compile(r"([&;?])")
_IN_ROUTE = re.compile(r"([/&;])")
_IN_FRAGMENT = re.compile(r"([&;])")


class _Part(NamedTuple):
    """The path, the query or the fragment of a URL, cut at its separators: each piece and the separator before it."""

    place: str
    separators: list[str]
    pieces: list[str]
    weights: list[_Weight]


def _part(place: str, first: str, text: str, separators: re.Pattern[str]) -> _Part:
    cut = separators.split(text)
    signs, pieces = [first, *cut[1::2]], cut[0::2]
    if place == "path":  # between slashes stand no parameters, behind a semicolon they do
        weights = [_weigh_piece(piece, sign == ";") for sign, piece in zip(signs, pieces, strict=True)]
    else:
        weights = [_weigh_piece(piece, True) for piece in pieces]
    return _Part(place, signs, pieces, weights)


def _weigh_piece(piece: str, is_parameter: bool) -> _Weight:
    name, equals, value = piece.partition("=") if is_parameter else ("", "", piece)
    if not equals:
        value = piece
    kind = _kind_of(name) if name and equals else None
    if kind is None and (len(value) < _FEWEST_OF_CONTACT or not _may_hold_contact(value)):
        return _Weight.NONE
    if equals:
        # A + is a blank, but at the beginning of what is otherwise a phone number.
        plus = "+" if _PHONE_ALONE.fullmatch(value) else ""
        value = plus + value[len(plus) :].replace("+", " ")
    plain = _decoded(value)
    if not is_parameter and "%" not in value:
        return _Weight.IDENTIFYING if _holds_address_or_number(plain) else _Weight.NONE
    weight = _weigh_text(plain, in_url=True)
    if not weight and "%25" in value:  # a query within the query, whose own + are blanks
        weight = _weigh_text(_folded(_unquoted(_unquoted(value, 1).replace("+", " "))), in_url=True)
    return _weigh(kind, plain, in_url=True) if kind and not weight else weight


def _clean_url(url: str) -> tuple[str, tuple[str, ...]]:
    cleaned, rest, names = "", url, []
    if authority := _AUTHORITY.match(url):
        cleaned, rest = authority[0], url[authority.end() :]
        if credentials := _CREDENTIALS.match(authority[1]):
            cleaned = url[: authority.start(1)] + authority[1][credentials.end() :]
            names.append("userinfo")
    before, hash_, fragment = rest.partition("#")
    path, mark, query = before.partition("?")
    route, route_mark, route_query = fragment.partition("?")
    parts = [_part("path", "", path, _IN_PATH)]
    if mark:
        parts.append(_part("query", "?", query, _IN_QUERY))
    if hash_:
        parts.append(_part("fragment", "#", route, _IN_ROUTE if route.startswith(("/", "!")) else _IN_FRAGMENT))
    if route_mark:
        parts.append(_part("fragment", "?", route_query, _IN_QUERY))
    weights = [weight for part in parts for weight in part.weights]
    heaviest, least = max(weights), _least_taken(weights)
    if heaviest < least:
        return (cleaned + rest, tuple(names)) if names else (url, ())
    for part in parts:
        kept, of_part = _without(part, least)
        cleaned += kept
        names += of_part
    if authority is None and cleaned.startswith("//"):  # what stood in the path is a host now
        cleaned, of_rest = without_personal_url(cleaned)
        names += of_rest
    return cleaned, tuple(dict.fromkeys(names))


def _without(part: _Part, least: _Weight) -> tuple[str, list[str]]:
    """A part without its pieces of this weight or more, and their names."""
    kept: list[str] = []
    names: list[str] = []
    is_taken = False
    for sign, piece, weight in zip(part.separators, part.pieces, part.weights, strict=True):
        # What has no name behind ; or ? belongs to the value before it: "address=Main St 5; Berlin".
        belongs = is_taken and sign in (";", "?") and "=" not in piece
        is_taken = belongs or weight >= least
        if not is_taken:
            kept += [sign if kept else part.separators[0] or sign, piece]
        elif not belongs:
            name, equals, _ = piece.partition("=")
            names.append(_shown(name) if equals else part.place)
    return "".join(kept), names


def _least_taken(weights: list[_Weight]) -> _Weight:
    heaviest = max(weights, default=_Weight.NONE)
    if heaviest is _Weight.IDENTIFYING:
        return _Weight.BESIDE_OTHERS
    of_person = weights.count(_Weight.SHORT_OF_PERSON)
    is_person = of_person and of_person + weights.count(_Weight.SHORT) > 1
    return _Weight.BESIDE_OTHERS if is_person else _Weight.PERSONAL


_FEWEST_OF_CONTACT = 6  # characters: a@b.de


def _kind_of(name: str) -> _Kind | None:
    if len(name) <= _MOST_OF_NAME:
        return _kind(name)
    return _Kind.CONTACT if _holds_contact(_decoded(name)) else None


def _shown(name: str) -> str:
    """A name as it may be told, decoded: none that is an address itself, or unreadable."""
    plain = _unquoted(name.replace("+", " "))
    is_fit = plain.isprintable() and len(plain) <= _MOST_OF_NAME and not _holds_contact(_folded(plain))
    return plain if is_fit else _UNNAMED


_UNNAMED = "(a name that is not shown)"


# Properties --------------------------------------------------------------------------------------------------------

_NUMBERED = frozenset(
    {_Kind.PHONE, _Kind.HOUSE, _Kind.ZIP, _Kind.ANY_ZIP, _Kind.BIRTH, _Kind.DOCUMENT}
    | {_Kind.SHORT_PHONE, _Kind.SHORT_BIRTH, _Kind.SHORT_ZIP}
)


def _clean_properties(properties: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    weights = [_weigh_property(key, value) for key, value in properties.items()]
    least = _least_taken(weights)
    kept: dict[str, Any] = {}
    names = []
    for (key, value), weight in zip(properties.items(), weights, strict=True):
        if weight >= least:
            names.append(_shown(key))
        elif isinstance(value, str) and _AS_WEB_ADDRESS(
            value
        ):  # with blanks it may be a sentence: weighed as that, too
            kept[key], of_url = without_personal_url(value)
            if of_url:
                names.append(_shown(key))
        else:
            kept[key] = value
    return (kept, tuple(dict.fromkeys(names))) if names else (properties, ())


def _weigh_property(name: str, value: Any) -> _Weight:
    """The heaviest of what the value holds, however deep."""
    heaviest, left = _Weight.NONE, [(name, value)]
    while left and heaviest is not _Weight.IDENTIFYING:
        name, value = left.pop()
        if isinstance(value, Mapping):
            left += value.items()
        elif isinstance(value, list | tuple):
            left += [(name, inner) for inner in value]
        else:
            heaviest = max(heaviest, _weigh_plain(str(name), value))
    return heaviest


def _weigh_plain(name: str, value: Any) -> _Weight:
    kind = _kind_of(name)
    if kind is _Kind.CONTACT:
        return _Weight.IDENTIFYING
    if isinstance(value, str):
        if _is_web_address(value):
            return _Weight.NONE  # cleaned as a URL
        plain = _decoded(value)
        weight = _weigh_text(plain, in_url=False)
        return _weigh(kind, plain, in_url=False) if kind and not weight else weight
    if kind in _NUMBERED and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        # "4915112345678.0" of a float is the same number; one of hundreds of digits is none of these.
        text = str(value).removesuffix(".0") if not isinstance(value, int) or abs(value) < _TOO_LONG else ""
        return _weigh(kind, text, in_url=False)
    return _Weight.NONE


_TOO_LONG = 10**50


def _is_web_address(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://")) and not any(map(str.isspace, text))


# As ``identifiers.web_url`` reads it.
_AS_WEB_ADDRESS = re.compile(r"\s*https?://[^\s/?#]*(?:[/?#]|\Z)", re.IGNORECASE).match
