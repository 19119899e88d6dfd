"""What the name of a URL parameter or a property promises: an email, a street, a date of birth, or nothing personal.

In many languages and the usual spellings; most of this file is tables. Whether the value holds what its name promises is
told in ``personal_values``. Sources: Meta's advice on unhashed contact information and the list that RudderStack's
Facebook destination deletes (email to country), read 2026-11-20; Google, "Understanding PII in Google's contracts and
policies" (answer 7686480: "full names or usernames"), read 2026-11-28.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache

from tracklayer.domain.contact import decoded, folded, holds_contact_or_link


class Kind(Enum):
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
    Kind.EMAIL: """email emails emailaddress emailaddr emailadresse emailadress emailadr emailaddresses mailaddr mailaddress mailadresse mailadress
        adresseemail adressemail adresseelectronique courriel correo correoelectronico direccioncorreo emailcliente
        correocliente indirizzoemail enderecoemail epost epostadresse epostadress sahkoposti emailadres eposta
        почта электроннаяпочта 邮箱 电子邮箱 电子邮件 メール メールアドレス 이메일""",
    Kind.PHONE: """phone phones phonenumbers phno tlf tlfn mob mobno cellno nrotelefono mobilnr phonenumber phoneno phonenr phonenum telephone telephonenumber telephoneno telno telnr
        telnumber tel telefon telefonnummer telefonnr telefono telefone telefoon telefoonnummer numerotelefono
        numerodetelefono numerotelephone numerodetelephone numerotelefone telephoneclient telefonocliente mobile
        mobileno mobilenumber mobilenr mobilephone mobilephonenumber mobil mobilnummer mobiltelefon mobiel mobielnummer
        mobilfunk mobilfunknummer handy handynummer handynr cell cellphone cellphonenumber cellnumber cellular celular
        numerocelular cellulare movil telefonomovil portable gsm gsmnumber msisdn whatsapp whatsappnumber whatsappno
        wanumber rufnummer contactno contactnumber contactnum contactnr landline fax faxnumber puhelin puhelinnumero
        telefonszam telepon nomortelepon nohp nomorhp dienthoai sodienthoai ceptelefonu
        телефон мобильный мобильныйтелефон номертелефона 电话 電話 电话号码 電話番号 手机 手机号 手机号码 携帯電話
        전화번호 휴대폰 휴대폰번호 연락처""",
    Kind.NAME: """firstname fname givenname forename vorname vornamen prenom prenoms primernombre primeironome voornaam
        fornavn fornamn etunimi imie jmeno keresztnev lastname lname surname familyname nachname familienname zuname
        nomfamille nomdefamille apellido apellidos apellidopaterno apellidomaterno sobrenome cognome achternaam
        efternavn efternamn etternavn sukunimi nazwisko prijmeni vezeteknev soyad soyadi middlename maidenname
        secondname additionalname fullname realname completename vorundnachname vornachname nomeesobrenome firstandlastname firstlastname nomcomplet nombrecompleto nomecompleto
        nomecognome nomeecognome nombreyapellidos nombreapellidos nomprenom nometprenom volledigenaam vollername nameoncard
        cardholdername nomclient prenomclient nombrecliente nomecliente kundenname
        имя фамилия отчество фио 姓名 名前 氏名 お名前 이름 성명 성함""",
    Kind.ANY_NAME: "name displayname nom nome nombre naam navn",
    Kind.ADDRESSEE: "contactperson personadecontacto contactpersoon kontaktperson ansprechpartner ansprechpartnerin",
    Kind.ANYBODY: """customer buyer contact recipient client user cardholder guest person kunde kundin cliente
        empfanger attendee passenger patient subscriber purchaser shopper consignee orderedby placedby soldto shipto
        billto usuario acheteur comprador""",
    Kind.LOGIN: """username userlogin loginname benutzername nomutilisateur nombreusuario nombredeusuario nickname""",
    Kind.PASSWORD: """password passwd pwd passwort kennwort motdepasse contrasena senha wachtwoord passphrase""",
    Kind.STREET: """street streetname streetaddress streetline address addresses addressline addrline addressstreet addr
        fulladdress postaladdress residentialaddress strasse strassenname strassehausnummer strasseundhausnummer strassenr
        anschrift adresse adresszeile lieferadresse rechnungsadresse lieferanschrift rechnungsanschrift direccion calle
        domicilio rue adresseclient direccioncliente indirizzo endereco logradouro adres straat straatnaam adress
        gatuadress gateadresse osoite katuosoite ulica adresa adresi адрес улица 地址 住所 주소""",
    Kind.HOUSE: "streetnumber streetno housenumber houseno housenr hausnummer hausnr huisnummer",
    Kind.ZIP: """zip zipcode postcode postalcode postal postleitzahl plz postnummer postnumber codigopostal codepostal
        codicepostale cep kodpocztowy pincode zippostal zippostalcode индекс 邮编 郵便番号 우편번호""",
    Kind.BIRTH: """dob dateofbirth birthdate birthday bday birthyear yearofbirth birthmonth monthofbirth bdayday bdaymonth bdayyear dateofbirthday
        dateofbirthmonth dateofbirthyear dateborn geburtsdatum geburtstag geburtsjahr gebdatum fechanacimiento fechadenacimiento datenaissance
        datedenaissance datanascimento datadenascimento datanascita datadinascita geboortedatum fodselsdato fodelsedatum
        dataurodzenia датарождения 生日 出生日期 生年月日 생년월일""",
    Kind.GENDER: "gender sex geschlecht sexe sexo sesso geslacht civilite anrede salutation пол 性别",
    Kind.DOCUMENT: """ssn socialsecurity socialsecuritynumber socialsecurityno taxid taxidnumber taxnumber taxpayerid tin
        itin steuerid steuernummer steueridentifikationsnummer sozialversicherungsnummer passport passportnumber
        passportno passportnr passportid reisepass reisepassnummer ausweisnummer personalausweis personalausweisnummer
        iban ibannumber bankaccount bankaccountnumber kontonummer driverlicense driverlicence driverslicense
        driverslicence driverlicensenumber driverslicensenumber drivinglicence drivinglicencenumber nationalid
        nationalidnumber nationalinsurancenumber nino idcard idcardnumber identitycard identitycardnumber identitynumber
        socialinsurancenumber personnummer cpf curp dni nif nie pesel bsn codicefiscale fiscalcode aadhaar aadhar
        aadhaarnumber паспорт инн снилс 身份证 身份证号""",
    Kind.IP: "ip ipaddress ipaddr ipv remoteaddr remoteip xforwardedfor",
    Kind.PLACE: "wohnort hometown placeofresidence placeofbirth birthplace",
    Kind.ANY_PLACE: """city town locality suburb state province region county country countrycode stadt ort
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
    "em": Kind.EMAIL, "ph": Kind.PHONE, "fn": Kind.NAME, "ln": Kind.NAME, "db": Kind.BIRTH, "ge": Kind.GENDER,
    "ct": Kind.PLACE, "st": Kind.PLACE, "zp": Kind.ZIP,
}  # fmt: skip
_SHORT_KEYS = {  # the same alone: they name a function, a language, a store as often
    "em": Kind.SHORT_EMAIL, "ph": Kind.SHORT_PHONE, "fn": Kind.SHORT_NAME, "ln": Kind.SHORT_NAME, "db": Kind.SHORT_BIRTH,
    "ge": Kind.SHORT_GENDER, "ct": Kind.SHORT_PLACE, "st": Kind.SHORT_PLACE, "zp": Kind.SHORT_ZIP,
}  # fmt: skip
_ON_SHEET = frozenset({"city", "state", "country"})
MOST_OF_NAME = 100  # characters: a longer one says nothing
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


_KINDS = {folded(name): kind for kind, names in _NAMES_OF.items() for name in names.split()}
_GLUED = re.compile("|".join(sorted((word for word in _LEADING if len(word) > 3), key=len, reverse=True)))


@lru_cache(maxsize=4096)
def kind_by_name(name: str) -> Kind | None:
    """What a parameter or property of this name holds, if its value looks like that; None: nothing personal."""
    if "%" in name or "&" in name or "\\" in name or not name.isascii():
        name = decoded(name)
    if ("@" in name or "+" in name) and holds_contact_or_link(name):
        return Kind.CONTACT
    if len(name) > MOST_OF_NAME:
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


def _glued(word: str, before: list[str]) -> Kind | None:
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


def _qualified(kind: Kind, before: list[str], words: list[str]) -> Kind | None:
    """With what the words before it say."""
    if kind is Kind.ANY_PLACE:
        word = "".join(words)
        owners = _POSTAL if word in ("state", "province", "region", "estado") else _PERSONS | _POSTAL
        if before and before[-1] in owners:
            return Kind.PLACE
        if before:
            return None
        return Kind.SHEET_PLACE if word in _ON_SHEET else Kind.ANY_PLACE
    if kind is Kind.ANY_NAME and before:
        if before[-1] in _PERSONS and before[-1] not in _OFTEN_THINGS:
            return Kind.NAME
        if before[-1] in ("shipping", "ship", "delivery"):
            return Kind.ADDRESSEE
        return kind if before[-1] in _BEFORE_NAME else None
    if kind is Kind.ZIP and not before:
        return Kind.ANY_ZIP
    return None if kind is Kind.ANYBODY and before else kind
