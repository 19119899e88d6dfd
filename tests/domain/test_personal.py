"""Personal data is found and nothing else: tables of single cases, then figures over thousands of generated ones.

The forms below are written out from what shops, form builders and tag managers send, not from the module's own lists.
"""

from __future__ import annotations

import base64
import hashlib
import json
import string
import time
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlencode

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer.domain.contact import holds_contact
from tracklayer.domain.normalise import sha256_hex
from tracklayer.domain.personal import without_personal_properties, without_personal_url

REPEATABLE = drawn(400)
DIGEST = sha256_hex("jane@example.com")
HOW_MANY = 5_000


# URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "left", "taken"),
    [
        pytest.param("https://a.example/?email=x", "https://a.example/", ("email",), id="the only one"),
        pytest.param("https://a.example/?email=x#top", "https://a.example/#top", ("email",), id="before a fragment"),
        pytest.param("https://a.example/?email=x&b=2", "https://a.example/?b=2", ("email",), id="first"),
        pytest.param("https://a.example/?b=2&email=x", "https://a.example/?b=2", ("email",), id="last"),
        pytest.param(
            "https://A.example/%7ea/?b=%2f&b=2&&Email=x;c=%C3%BC&=&d#E",
            "https://A.example/%7ea/?b=%2f&b=2&;c=%C3%BC&=&d#E",
            ("Email",),
            id="the rest byte for byte",
        ),
        pytest.param("https://a.example/?a=1?email=x", "https://a.example/?a=1", ("email",), id="a second ?"),
        pytest.param("https://a.example/?a=1&amp;email=x", "https://a.example/?a=1", ("email",), id="&amp;"),
        pytest.param(
            "https://a.example/x&nbsp;y?a=1&nbsp;&#32;&#x2028;2&email=x#b&emsp;c",
            "https://a.example/x%C2%A0y?a=1%C2%A0%20%E2%80%A82#b%E2%80%83c",
            ("email",),
            id="blanks in HTML",
        ),
        pytest.param(
            r"https://a.example/?a=1\u00a0\u00202&email=x",
            "https://a.example/?a=1%C2%A0%202",
            ("email",),
            id="blanks in JSON",
        ),
        pytest.param(
            "https://a.example/? a&nbsp;=1&email=x", "https://a.example/? a\xa0=1", ("email",), id="blanks as they are"
        ),
        pytest.param(
            "https://a.example/?customer%5Bemail%5D=x&page=2",
            "https://a.example/?page=2",
            ("customer[email]",),
            id="in brackets, encoded",
        ),
        pytest.param("https://a.example/?q=jane%40example.com", "https://a.example/", ("q",), id="encoded once"),
        pytest.param("https://a.example/?email=jane&#64;b.de&p=1", "https://a.example/?p=1", ("email",), id="in HTML"),
        pytest.param("https://a.example/?e=jane&commat;b.de#x", "https://a.example/#x", ("e",), id="by name in HTML"),
        pytest.param(
            "https://a.example/?e=jane%26%2364%3Bb.de&p=1", "https://a.example/?p=1", ("e",), id="HTML, encoded"
        ),
        pytest.param("https://a.example/?p=&#43;491712345678&a", "https://a.example/?a", ("p",), id="a plus in HTML"),
        pytest.param(r"https://a.example/jane\u0040b.de/x", "https://a.example/x", ("path",), id="in JSON"),
        pytest.param(r"https://a.example/?e=jane\u0026#64;b.de", "https://a.example/", ("e",), id="HTML in JSON"),
        pytest.param("https://jane&#64;a.example/x", "https://a.example/x", ("userinfo",), id="a user in HTML"),
        pytest.param("https://a.example/?q=jane%2540example.com", "https://a.example/", ("q",), id="encoded twice"),
        pytest.param("https://a.example/?%65mail=jane", "https://a.example/", ("email",), id="an encoded name"),
        pytest.param("https://a.example/?q=+491712345678", "https://a.example/", ("q",), id="a bare +"),
        pytest.param("https://a.example/?q=%2B49+171+2345678", "https://a.example/", ("q",), id="a phone with blanks"),
        pytest.param(
            "https://a.example/?p=+49%20151%2012345678&b=2", "https://a.example/?b=2", ("p",), id="a phone of a browser"
        ),
        pytest.param("https://a.example/?p=+1 650 253 0000", "https://a.example/", ("p",), id="a phone as it is typed"),
        pytest.param(
            "https://a.example/?p=+%2049%20151%2012345678", "https://a.example/", ("p",), id="a blank behind +"
        ),
        pytest.param(
            "https://a.example/?p=+1%C2%A0650%C2%A0253%C2%A00000", "https://a.example/", ("p",), id="no-break"
        ),
        pytest.param(
            "https://a.example/?q=call%20+1%20650%20253%200000", "https://a.example/", ("q",), id="behind words"
        ),
        pytest.param("https://a.example/?q=a+b +1 650 253 0000", "https://a.example/", ("q",), id="a + behind a blank"),
        pytest.param(
            "https://a.example/?q=+5%20+1%20650%20253%200000", "https://a.example/", ("q",), id="the second +"
        ),
        pytest.param("https://a.example/?q=call:+49+151+12345678", "https://a.example/", ("q",), id="behind a colon"),
        pytest.param("https://a.example/?+49+151+12345678", "https://a.example/", ("query",), id="a phone and no name"),
        pytest.param("https://a.example/+49+151+12345678/x", "https://a.example/x", ("path",), id="a phone as a path"),
        pytest.param(
            "https://a.example/?to=https%3A%2F%2Fb.example%2F%3Fp%3D%2B49%2B151%2B12345678",
            "https://a.example/",
            ("to",),
            id="a phone in a URL within",
        ),
        pytest.param("https://a.example/?q=tel:0171-2345678", "https://a.example/", ("q",), id="tel:"),
        pytest.param("https://a.example/?jane@example.com", "https://a.example/", ("query",), id="without a name"),
        pytest.param(
            "https://a.example/?jane@example.com=1&b=2",
            "https://a.example/?b=2",
            ("(a name that is not shown)",),
            id="a name that is an address",
        ),
        pytest.param(
            "https://a.example/?to=%2Fthanks%3Fphone%3D01712345678%26x%3D1",
            "https://a.example/",
            ("to",),
            id="in a URL within",
        ),
        pytest.param("https://a.example/?to=/x%3Femail=jane", "https://a.example/", ("to",), id="half encoded"),
        pytest.param(
            "https://a.example/?d=%7B%22phone%22%3A%2201712345678%22%7D",
            "https://a.example/",
            ("d",),
            id="in JSON within",
        ),
        pytest.param("https://a.example/#email=x&b=2", "https://a.example/#b=2", ("email",), id="fragment"),
        pytest.param("https://a.example/#/pay?email=x&b=2", "https://a.example/#/pay?b=2", ("email",), id="route"),
        pytest.param("https://a.example/#/u/j@ex.de/x", "https://a.example/#/u/x", ("fragment",), id="in a route"),
        pytest.param("https://a.example/u/j@ex.de/edit", "https://a.example/u/edit", ("path",), id="path"),
        pytest.param("https://a.example/u/j%40ex.de", "https://a.example/u", ("path",), id="end of the path"),
        pytest.param(
            "https://a.example/u;email=x;b=2/y", "https://a.example/u;b=2/y", ("email",), id="matrix parameter"
        ),
        pytest.param("https://jane:pw@a.example/x?y=1", "https://a.example/x?y=1", ("userinfo",), id="credentials"),
        pytest.param("https://jane@a.example:8443", "https://a.example:8443", ("userinfo",), id="a user"),
        pytest.param(
            "https://a.example/?address=Main+St+5;Berlin&b=2",
            "https://a.example/?b=2",
            ("address",),
            id="a value with a semicolon",
        ),
        pytest.param(
            "https://a.example/?first_name=Jane&name=Roe&country=DE&state=NY&city=Bonn&gender=women&utm_source=x",
            "https://a.example/?utm_source=x",
            ("first_name", "name", "country", "state", "city", "gender"),
            id="what stands beside a first name",
        ),
        pytest.param("https://a.example/?name=Jane+Doe", "https://a.example/", ("name",), id="a name of a person"),
        pytest.param("https://a.example/?billing_city=Bonn", "https://a.example/", ("billing_city",), id="whose city"),
        pytest.param("https://a.example/?gender=female", "https://a.example/", ("gender",), id="gender"),
        pytest.param("https://a.example/?zip=10115&email=x", "https://a.example/", ("zip", "email"), id="zip"),
        pytest.param(
            "https://a.example/?em=jane@x.de&fn=Jane&ln=Secretova&ph=4915123456789&db=19900514&zp=10115&ct=Berlin&ge=f&p=1",
            "https://a.example/?p=1",
            ("em", "fn", "ln", "ph", "db", "zp", "ct", "ge"),
            id="Meta's names",
        ),
        pytest.param("https://a.example/?fn=Jane&ge=f&p=1", "https://a.example/?p=1", ("fn", "ge"), id="two of Meta's"),
        pytest.param(
            "https://a.example/?data=first_name%3DJane", "https://a.example/", ("data",), id="one pair within"
        ),
        pytest.param("https://a.example/?to=phone%3D01512345678", "https://a.example/", ("to",), id="a phone within"),
        pytest.param("https://a.example/?to=phone=01512345678", "https://a.example/", ("to",), id="two equals signs"),
        pytest.param(
            "https://a.example/?d=fn%3DJane%26ln%3DDoe", "https://a.example/", ("d",), id="Meta's names within"
        ),
        pytest.param("https://a.example/?street=wear&email=x", "https://a.example/", ("street", "email"), id="a word"),
        pytest.param(
            "https://a.example/?nom=chaussures&email=x", "https://a.example/", ("nom", "email"), id="nom beside others"
        ),
        pytest.param("https://a.example/?email=a@b.de&email=c@d.de", "https://a.example/", ("email",), id="twice"),
        pytest.param("mailto:jane@example.com", "", ("path",), id="nothing but an address"),
        pytest.param("/thanks?email=x&b=1", "/thanks?b=1", ("email",), id="relative"),
    ],
)
def test_a_url_loses_what_is_personal_and_nothing_else(url: str, left: str, taken: tuple[str, ...]) -> None:
    assert without_personal_url(url) == (left, taken)


APART = [
    "jane @example.com",
    "jane%20@example.com",
    "jane+@example.com",
    "jane @ example.co.uk",
    "jane@%20example.com",
    "write+jane @example.com",
]


@pytest.mark.parametrize("text", APART)
def test_a_blank_at_its_at_hides_no_address(text: str) -> None:
    assert without_personal_url(f"https://a.example/?q={text}&b=1") == ("https://a.example/?b=1", ("q",))
    assert without_personal_url(f"https://a.example/#q={text}") == ("https://a.example/", ("q",))
    if "+" not in text:
        assert holds_contact(text)
        assert without_personal_properties({"note": text, "b": 1}) == ({"b": 1}, ("note",))


@pytest.mark.parametrize(
    "text",
    ["@example.com", "50% @example.com", "Nike @ Zalando", "3 cups @ 2.50", "Live @ Studio.Recorded", "shot @ hero.png", "follow @nike", "a\n@example.com"],
)  # fmt: skip
def test_a_place_behind_an_at_is_no_address(text: str) -> None:
    assert not holds_contact(text)
    assert without_personal_properties({"note": text}) == ({"note": text}, ())


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/thanks",
        "https://a.example/?order=10042&utm_source=email&utm_medium=newsletter&utm_campaign=mail_2026",
        "https://a.example/?mailing_list=7&email_campaign=spring&email_id=8812&email_opt_in=true&is_email_verified=1",
        f"https://a.example/?email={DIGEST}&phone={DIGEST.upper()}&em={DIGEST}.AQYCAQIB",
        "https://a.example/?email=1&phone=true&mobile=0&email=&first_name=undefined&email={{email}}&email=*|EMAIL|*",
        "https://a.example/?mobile=1&phone_model=iPhone+15&phone=iphone&telegram=1&hotel=12345678&tel_aviv=1",
        "https://a.example/?country=DE&state=NY&city=Berlin&region=EU&shop_country=AT&gender=women&client_state=abcdef",
        "https://a.example/?name=Summer+Sale&product_name=Jane+Doe+dress&plan_name=Jane+Doe&list_name=Jane&file_name=a",
        "https://a.example/?zip=10115&city=Berlin&radius=5",
        "https://a.example/?plz=10115",
        "https://a.example/?nom=chaussures&nombre=zapatos&naam=schoenen&navn=sko&nome=Scarpe+rosse",
        "https://a.example/?fn=index&ln=en&st=new&ct=Berlin",
        "https://a.example/?fn=Jane",
        "https://a.example/?ph=4915123456789&ln=de",
        "https://a.example/?st=ny&ct=New+York&zp=10001&ge=f",
        "https://a.example/?sex=unisex&username=admin&password=reset&street=wear&filter=a=b",
        "https://a.example/?id=491712345678&ean=4006381333931&q=order+491712345678&p=00491712345678&t=1794000000",
        "https://a.example/?q=a+491712345678+b&utm_campaign=DE+%7C+Brand+%7C+20223456789&utm_content=Sale+-+491712345678",
        "https://a.example/?x=2x@50%&by=@shop&img=logo@2x.png&lib=react@18.2.0-beta.rc&v=a@b",
        "https://a.example/@48.8566,2.3522,15z?c=%2B48.8566,-2.3522&c2=+40.7128-074.0060/&at=2026-11-20T14:59:00%2B01:00",
        "https://a.example/@jane.doe/post?ref=@jane.doe",
        "https://a.example/?street_style=1&address_id=5&birthday_sale=1&zip_file=abc&title=Mr&age=34&via=newsletter",
        "https://a.example/?ip=internet&password_reset=1&user=new&customer=VIP&contact=chat&order_name=%231001",
        "https://a.example/?_gl=1*1x2y*_ga*MTIz*_up*MQ..&gclid=Cj0K-_x&wbraid=CjkK&epik=dj0y&ScCid=7b&ttclid=E.C.P",
    ],
)
def test_a_url_without_personal_data_comes_back_itself(url: str) -> None:
    left, taken = without_personal_url(url)

    assert left is url
    assert taken == ()


# Properties --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "left", "taken"),
    [
        pytest.param({"Email": "x", "score": 1}, {"score": 1}, ("Email",), id="by name"),
        pytest.param({"note": "ordered by jane@example.com"}, {}, ("note",), id="an address in a sentence"),
        pytest.param({"note": "call +49 (0)171 2345678 12 times"}, {}, ("note",), id="a phone in a sentence"),
        pytest.param({"a": "＋４９ １７１ ２３４５６７８", "b": "jane＠example．com"}, {}, ("a", "b"), id="full-width"),
        pytest.param({"a": "jane\u200b@example.com", "b": "+\u202a491712345678"}, {}, ("a", "b"), id="invisible marks"),
        pytest.param({"a": "+٤٩١٧١٢٣٤٥٦٧٨"}, {}, ("a",), id="Arabic digits"),
        pytest.param({"a": "jörg@bücher.example"}, {}, ("a",), id="an address in other letters"),
        pytest.param({"jane@example.com": True}, {}, ("(a name that is not shown)",), id="a name that is an address"),
        pytest.param(
            {"phone": 491712345678, "zip": 94107, "ssn": 123456789}, {}, ("phone", "zip", "ssn"), id="numbers"
        ),
        pytest.param(
            {"city": "Bonn", "state": "NY", "country": "DE"}, {}, ("city", "state", "country"), id="on the sheet"
        ),
        pytest.param(
            {"gender": "female", "birthday": "1990-05-14"}, {}, ("gender", "birthday"), id="also on the sheet"
        ),
        pytest.param({"name": "Jane Doe"}, {}, ("name",), id="name"),
        pytest.param({"fn": "Jane", "ln": "Secretova", "p": 1}, {"p": 1}, ("fn", "ln"), id="Meta's names"),
        pytest.param({"fn": "jane", "ph": 4915123456789}, {}, ("fn", "ph"), id="Meta's names, a number"),
        pytest.param({"x": "first_name=Jane&last_name=Secret"}, {}, ("x",), id="a query as text"),
        pytest.param({"name": "jane", "email": "x"}, {}, ("name", "email"), id="name beside an email"),
        pytest.param({"deep": {"er": ["x", {"email": "jane"}]}, "b": [1]}, {"b": [1]}, ("deep",), id="deep inside"),
        pytest.param({"json": '{"phone": "01712345678"}'}, {}, ("json",), id="JSON as text"),
        pytest.param({"next": "/thanks?phone=01712345678"}, {}, ("next",), id="half a URL"),
        pytest.param(
            {"referrer_url": "https://a.example/?email=x&b=2"},
            {"referrer_url": "https://a.example/?b=2"},
            ("referrer_url",),
            id="a web address loses its parameters only",
        ),
        pytest.param(
            {"referrer": "https://a.example/?p=+1%20650%20253%200000&b=2"},
            {"referrer": "https://a.example/?b=2"},
            ("referrer",),
            id="a web address with a phone",
        ),
    ],
)
def test_personal_properties_are_left_out(
    properties: dict[str, Any], left: dict[str, Any], taken: tuple[str, ...]
) -> None:
    before = json.dumps(properties)

    assert without_personal_properties(properties) == (left, taken)
    assert json.dumps(properties) == before


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"quiz_name": "Skin type", "score": 87, "colour": "red"},
        {"method": "email", "channel": "Email", "email_opt_in": True, "email": True, "phone": None, "first_name": ""},
        {"email": DIGEST, "phone": DIGEST},
        {
            "product_name": "Jane Doe dress",
            "campaign_name": "Jane Doe",
            "company_name": "Doe Ltd",
            "screen_name": "Home",
        },
        {"name": "Skin type", "title": "Jane Doe", "status": "new", "state": "open", "customer": "VIP"},
        {
            "order": 491712345678,
            "sku": "4915112345678",
            "time": "2026-11-20T14:59:00+01:00",
            "place": "+48.8566+002.35",
        },
        {"emails_sent": 3, "email": 5, "phone": 15, "birthday": True, "customer_type": "NEW", "job_title": "CEO"},
        {"value": Decimal("NaN"), "zip": float("nan"), "phone": float("inf"), "ssn": 10**5000},
        {"referrer_url": "https://a.example/?q=1", "extinfo": '["a2","com.x","1.0"]', "deep": {"er": [1]}},
    ],
)
def test_properties_without_personal_data_come_back_themselves(properties: dict[str, Any]) -> None:
    left, taken = without_personal_properties(properties)

    assert left is properties
    assert taken == ()


# Found in the forms of browsers (autocomplete), shops, form builders and booking tools.
SPELLINGS: Mapping[str, str] = {
    "e-mailaddress": "x@y", "emailadr": "q", "Email Address": "jane", "Your Email": "jane", "contactEmail": "jane",
    "invitee_email": "jane", "invitee_full_name": "Jane Doe", "invitee_first_name": "Jane", "payer_name": "Jane",
    "receiver_phone": "01712345678", "Phone Number (mobile)": "01712345678", "phone[full]": "01712345678",
    "phone_number_1": "01712345678", "tel-national": "01712345678", "address-line1": "Main 5", "family-name": "Doe",
    "given-name": "Jane", "additional-name": "Q", "bday-day": "14", "sex": "male", "street-address": "Main 5",
    "billing-postal-code": "10115", "billing_address[first_name]": "Jane", "billingAddress.lastName": "Doe",
    "shippingAddress.postalCode": "10115", "customer.default_address.zip": "10115", "customer_last_name": "Doe",
    "cust_email": "jane", "cust_phone": "01712345678", "usr_email": "jane", "u_email": "jane", "ship_city": "Bonn",
    "ship_zip": "10115", "bill_to_name": "Jane", "ship_to_address": "Main 5", "LastName__c": "Doe",
    "FIRSTNAME": "Jane", "LASTNAME": "Doe", "FirstNameInput": "Jane", "txtEmail": "jane", "txtPhone": "01712345678",
    "inputEmail": "jane", "email_hidden": "jane", "hidden_email": "jane", "firstname_field": "Jane",
    "contact[first_name]": "Jane", "person_name": "Jane", "patient_name": "Jane", "donor_email": "jane",
    "attendee_name": "Jane Doe", "guest_first_name": "Jane", "traits.email": "jane", "traits[firstName]": "Jane",
    "properties.phone": "01712345678", "user_properties.email": "jane", "lead_phone": "01712345678",
    "lead_first_name": "Jane", "Lead Name": "Jane Doe", "Vor- und Nachname": "Jane Doe", "vor_nachname": "Jane Doe",
    "Liefer-PLZ": "10115", "Straße und Hausnummer": "Hauptstr. 5", "Wohnort": "Bonn", "tlf": "01712345678",
    "tlfn": "01712345678", "Handy-Nr": "01712345678", "mobil_nr": "01712345678", "nro_telefono": "01712345678",
    "cpf": "123.456.789-09", "endereço": "Rua 5", "e_mail_address": "jane", "mailaddr": "jane",
    "emailaddresses": "jane", "phonenumbers": "01712345678", "ph_no": "9876543210", "phone_num": "9876543210",
    "mob": "9876543210", "mob_no": "9876543210", "mobileno": "9876543210", "cellno": "5551234567",
    "telephone_number": "9876543210", "contact_tel": "9876543210", "birth_day": "14.05.1990",
    "birthDay": "1990-05-14", "date_of_birth_year": "1990", "user_dob": "1990-05-14", "user_gender": "female",
    "customer_gender": "male", "user_zip": "10115", "user_city": "Bonn", "user_address": "Main 5",
    "userAddress1": "Main 5", "addr1": "Main 5", "addr_line_2": "Main 5", "passport_no": "C01X00T47",
    "socialSecurityNumber": "123-45-6789", "tax_number": "12/345/67890", "drivers_license_number": "D1234567",
    "national_insurance_number": "QQ123456C", "client_ip_address": "203.0.113.42", "customer_ip": "203.0.113.42",
    "x-forwarded-for": "203.0.113.42, 10.0.0.1", "remote_addr": "203.0.113.42", "real_name": "Jane",
    "display_name": "Jane Doe", "user_login": "jane87", "nome_completo": "Jane Doe", "nome_e_sobrenome": "Jane Doe",
    "nombre_y_apellidos": "Jane Doe", "Фамилия": "Иванов", "имя": "Иван", "телефон": "89161234567", "почта": "ivan",
    "メールアドレス": "jane", "電話番号": "09012345678", "お名前": "山田花子", "姓名": "王小明", "手机号": "13812345678",
}  # fmt: skip
LOOKALIKES: Mapping[str, str] = {
    "email_subject": "Hello", "email_provider": "gmail", "email_domain": "gmail.com", "phone_brand": "Apple",
    "phone_country": "DE", "phone_country_code": "49", "phoneType": "mobile", "mobile_device": "iPhone",
    "name_of_product": "x", "given": "x", "street_food": "x", "address_book": "x", "addressable": "x",
    "birthstone": "ruby", "birthday_discount": "20", "gendered": "x", "zipper": "x 12", "zip_line": "ride 12",
    "postcode_area": "NW", "post": "Hello 12", "post_id": "1234", "posted": "2026-11-20", "postal_service": "DHL",
    "country_of_origin": "DE", "city_id": "123", "state_id": "12", "country_code": "DE", "country_id": "49",
    "customer_since": "2020-01-01", "customer_ltv": "1234.56", "first": "x", "last": "y", "last_name_sort": "asc",
    "first_order": "true", "name_sort": "asc", "lastPage": "x", "full": "1", "family": "Sony", "surname_sort": "asc",
    "middle": "x", "maiden": "x", "title": "Mr",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 +http://x.y/bot.html",
    "ua": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "client_id": "GA1.2.1234567890.1794000000", "client": "web", "user": "12345", "contact": "yes", "guest": "true",
    "guests": "2", "member": "gold", "passenger_count": "2", "passengers": "2 adults", "patient_type": "new",
    "recipient": "self", "tel_aviv": "1", "cell_type": "AA", "cell": "B12", "portable": "yes", "handy": "true",
    "gsm": "200", "fax": "no", "landline": "no", "mobil": "true", "ip": "IP67", "ipad": "x", "tin": "can", "nie": "x",
    "nif": "x", "cap": "20", "cp": "12345", "cap_size": "58", "land": "de", "ort": "x", "via": "email",
    "domicilio": "1", "password_strength": "strong", "pwd_reset": "1", "login_method": "google",
    "username_taken": "false", "nickname": "0", "name": "iPhone 15", "name2": "x1", "names": "a,b",
    "nom_produit": "Chaise bleue", "nombre_producto": "Silla", "nombre": "3", "nom": "12", "nome_prodotto": "x",
    "adresse_id": "12", "age": "34", "age_group": "25-34", "locale": "de_DE", "language": "de",
    "timezone": "Europe/Berlin", "currency": "EUR", "job_title": "CEO", "company": "Acme",
    "company_name": "Doe & Sons", "department": "Sales", "industry": "IT", "shop_name": "Jane's",
    "store_address": "Main 5", "warehouse_zip": "10115", "store_phone": "0301234567", "event_location": "Berlin",
    "venue_name": "Arena", "artist_name": "Taylor Swift", "author": "Jane Austen", "author_name": "Jane Austen",
    "actor_name": "x", "director": "x", "pet_name": "Bello", "dog_name": "Max", "brand": "Paul Smith",
    "designer": "Jil Sander", "collection": "Anna", "model_name": "Anna", "color_name": "Rose Gold",
    "size_name": "XL", "theme_name": "x", "template_name": "x", "sender_name": "Shop",
    "gift_message": "Happy birthday!", "note": "Leave at the door", "rating": "5",
    "review": "Great, 10/10 @ this price", "hashtag": "#shop @shop", "social": "@jane.doe",
    "price_per_unit": "@ 5.00", "ratio": "16:9", "time": "10:20", "regex": "^a+1$", "math": "1+1=2",
    "formula": "x = +5", "plus": "+5", "plus2": "+12345", "plus3": "+1234567890123", "version": "1.2.3+20261120",
    "semver": "1.0.0+build.20261120123456", "gs1": "(01)04006381333931(17)261120",
    "tracking": "1Z 999 AA1 01 2345 6784", "isbn": "978-3-16-148410-0", "iban_required": "true", "swift": "DEUTDEFF",
    "vat_id": "DE123456789", "address": "0x52908400098527886E0F7030069857D2E4169EE7", "wallet_address": "0xabc",
    "uid": "a1b2", "uuid": "550e8400-e29b-41d4-a716-446655440000", "lat": "52.52", "lng": "+13.405",
    "geo": "POINT(13.4 52.5)", "offset": "+0200", "dt": "2026-11-20T14:59:00+0100",
    "date": "Fri, 20 Nov 2026 14:59:00 +0100", "ref": "A/B+12345678", "size": "EU 42+", "score": "+10000000",
    "range": "18+ 20261120", "mix": "a+491712345678", "base64": "amFuZQ==", "sig": "ab+cd12345678/ef==",
    "token": "eyJhbGciOi.J9.x-y", "xml": "<a href=\"x\">y</a>", "json": "{\"sku\":\"123\",\"email\":true}",
    "media": "1x1@2x", "state": "open", "city": "123", "phone": "iPhone 15", "phone2": "S24", "zip": "true",
    "customer": "new", "order_name": "#1001", "kunde": "Stammkunde", "segment": "VIP",
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SPELLINGS.items())
def test_a_name_in_its_many_spellings_is_known(name: str, value: str) -> None:
    assert without_personal_properties({name: value}) == ({}, (name,))
    assert without_personal_url(f"https://a.example/?{quote(name)}={quote(value)}") == ("https://a.example/", (name,))


@pytest.mark.parametrize(("name", "value"), LOOKALIKES.items())
def test_what_only_looks_alike_stays(name: str, value: str) -> None:
    properties = {name: value}

    assert without_personal_properties(properties) == (properties, ())
    for url in (f"https://a.example/?{quote(name)}={quote(value)}", f"https://a.example/?{name}={quote_plus(value)}"):
        assert without_personal_url(url) == (url, ())


# Any text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sign", "\u00ad\u034f\u061c\u180e\u200b\u200f\u202a\u2060\u206f\u3164\ufe00\ufe0f\ufeff\U000e0001"
)
def test_what_nobody_sees_hides_no_contact(sign: str) -> None:
    """As emoji, and what is copied from a page, leave such characters behind: an address with one is the same mailbox."""
    address = f"jane.doe{sign}@example.com"
    assert holds_contact(address)
    assert holds_contact(f"call +49{sign}151 12345678")
    kept, taken = without_personal_properties({"note": address, "gift": "yes"})
    assert (kept, taken) == ({"gift": "yes"}, ("note",))
    assert (
        without_personal_url(f"https://shop.example/?note={quote(address)}&page=2")[0] == "https://shop.example/?page=2"
    )


SIGNS = st.text("ab1@%+=&?#;:/.-_ \"'{}[]()\u202a\u200b＠＋é\ud800\n", max_size=60)
WORDS = st.lists(
    st.sampled_from(
        "email= phone= name= &  ? # ; / jane@ex.de jane%40ex.de %2B49 +491712345678 tel: https:// u:p@ %25 %40 @ city=Bonn "
        "first_name=Jane Jane+Doe country=DE email%3Dx %3F & = 10042 utm_source=x logo@2x.png".split(" ")
    ),
    max_size=12,
).map("".join)
TEXTS = st.one_of(st.text(max_size=60), SIGNS, WORDS)


@REPEATABLE
@given(TEXTS)
def test_any_url_is_cleaned_in_one_go(url: str) -> None:
    left, taken = without_personal_url(url)

    assert (left is url) == (taken == ())
    assert without_personal_url(left) == (left, ())
    if "#" not in url:  # a fragment, though an empty one, is never looked at the quick way
        assert without_personal_url(f"{url}#") == (f"{left}#", taken)
    assert sorted(_multiset(left) - _multiset(url)) == []


def _multiset(text: str) -> set[tuple[str, int]]:
    return {(sign, number) for sign in set(text) for number in range(text.count(sign))}


PLAIN = st.one_of(TEXTS, st.none(), st.integers(), st.floats(), st.decimals(), st.lists(TEXTS, max_size=2))
NAMES = st.one_of(st.sampled_from(["email", "phone", "zip", "name", "birthday", "ssn", "ip", "x"]), TEXTS)


@REPEATABLE
@given(st.dictionaries(NAMES, PLAIN, max_size=3))
def test_any_properties_are_cleaned_in_one_go(properties: dict[str, Any]) -> None:
    left, taken = without_personal_properties(properties)

    assert (left is properties) == (taken == ())
    assert without_personal_properties(left)[0] is left
    assert set(left) <= set(properties)


def test_properties_as_deep_as_any_are_looked_through() -> None:
    inside: Any = "jane@example.com"
    for _ in range(100_000):
        inside = [inside]

    assert without_personal_properties({"deep": inside}) == ({}, ("deep",))


@pytest.mark.parametrize(
    "unit",
    [
        "a=&",
        "@&",
        "a@",
        "/",
        ";email=x",
        "%41&",
        "%25",
        "a.",
        "w",
        '?a="',
        '"a": ',
        "+49171234 ",
        "%2B4917&",
        "(+1 ",
        "+",
        " +",
        "+1%20",
    ],
)
def test_a_long_text_takes_linear_time(unit: str) -> None:
    body = unit * (32_768 // len(unit))
    started = time.process_time()

    for text in (
        f"https://a.example/?q={body}",
        f"https://a.example/{body}@",
        f"x@{body}",
        f"{body}%40+4",
        f"#{body}@+",
    ):
        without_personal_url(text)
        without_personal_properties({"text": text, text: 1})

    assert time.process_time() - started < 20  # a tenth of a second, on most machines; a quadratic search takes minutes


def test_every_kind_of_phone_number_is_found() -> None:
    """The phone library's own example of every region and type, as it is written between countries."""
    formats = phonenumbers.PhoneNumberFormat
    missed = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in phonenumbers.PhoneNumberType.values():
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None or len(f"{number.country_code}{number.national_number}") < 7:
                continue  # none, or one of four services of Iran that nobody has at home
            for way in (formats.E164, formats.INTERNATIONAL, formats.RFC3966):
                text = phonenumbers.format_number(number, way)
                sentence = f"reach me at {text}, please"
                if without_personal_properties({"a": text, "b": sentence})[0]:
                    missed.append((region, kind, text))
                if (
                    without_personal_url(f"https://a.example/?a={quote(text)}&b={quote_plus(sentence)}")[0]
                    != "https://a.example/"
                ):
                    missed.append((region, kind, text))
    assert missed == []


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("jane@example.com", True),
        ("ordered by Jane <jane@example.com>", True),
        ("jane%40example.com", True),
        ("jane%2540example.com", True),
        ("jane＠example．com", True),
        ("call +49 (0)171 2345678", True),
        ("%2B49 171 2345678", True),
        ("+%2049%20171%202345678", True),
        ("＋４９ １７１ ２３４５６７８", True),
        ("jane&#64;example.com", True),
        ("for jane&#x40;example&period;com", True),
        ("jane&amp;commat;example.com", True),
        ("jane&#8203;&#65312;example.com", True),
        ("jane%26%2364%3Bexample.com", True),
        (r"jane\u0040example.com", True),
        (r"jane\\u0026#64;example.com", True),
        (r"jane\u{40}example.com", True),
        (r"jane\x40example.com", True),
        ("jane&#64example.com", True),
        ("jane&#X40shop.example", True),
        ("jane&#00000064;example.com", True),
        (f"jane&#x{'0' * 5000}40;shop.example", True),
        ("jane&amp#64;example.com", True),
        (f"jane{chr(92) * 8}u0040example.com", True),
        (r"jane\u{000040}example.com", True),
        (r"jane\@example.com", True),
        ("jane&#640example.com", False),
        (f"jane&#{'9' * 5000}example.com", False),
        ("&#43;49 171 2345678", True),
        ("&plus;49 171 2345678", True),
        ("", False),
        ("Red shoes", False),
        ("Salt &amp; pepper &#8211; mill", False),
        (r"C:\users\x40", False),
        ("5 &commat; 12.50", False),
        ("Größe M – blau", False),
        ("Cable 2x@50% + mug", False),
        ("logo@2x.png", False),
        ("C++ for beginners, 20% off", False),
        ("0171 2345678", False),
        ("東京タワー ポスター", False),
        ("+1234567890123", False),
    ],
)
def test_a_contact_in_a_text_is_found_by_value(text: str, holds: bool) -> None:
    assert holds_contact(text) is holds


# Figures over generated ones: personal ------------------------------------------------------------------------------

GIVEN = "Jane John Anna Müller-Klaus Zoë François José Łukasz Иван 花子 Siobhán Xiu Ngozi D'Andre Mary-Ann".split()
FAMILY = "Doe O'Neill Müller García Lindström Nguyễn Иванова 山田 van_der_Berg Smith-Jones Okafor Ivanov".split()
STREETS = [
    "Hauptstr. 5",
    "221B Baker Street",
    "1600 Amphitheatre Pkwy",
    "Calle Mayor 3, 2º",
    "Rue de Rivoli 12",
    "ул. Ленина 5",
]
CITIES = ["Berlin", "New York", "São Paulo", "Köln", "Saint-Étienne", "München"]
ZIPS = ["10115", "SW1A 1AA", "94107-1234", "K1A 0B6", "75001", "D02 X285", "00-950"]
LOCAL_PHONES = [
    "0171 2345678",
    "(415) 555-2671",
    "06 12 34 56 78",
    "020 7946 0958",
    "01712345678",
    "415.555.2671",
    "98765 43210",
]

EMAIL_NAMES = [
    "email", "Email", "EMAIL", "e-mail", "e_mail", "eMail", "email_address", "emailAddress", "EmailAddress", "user_email",
    "userEmail", "useremail", "customer_email", "customerEmail", "customer[email]", "customer.email", "contact_email",
    "billing_email", "billingEmail", "_billing_email", "shipping_email", "order[email]", "checkout[email]", "your-email",
    "buyer_email", "payer_email", "member_email", "subscriber_email", "mce-EMAIL", "email1", "email_2", "confirm_email",
    "correo", "correo_electronico", "courriel", "E-Mail-Adresse", "emailadresse", "adresse_email", "form[email]",
    "user[email]", "user.email", "lead_email", "guestEmail", "primary_email", "work_email", "personal_email", "email_cliente",
    "form_fields[email]", "account_email", "recipient_email", "customeremail", "EmailAddr", "ud[em]", "user_data[em]",
]  # fmt: skip
PHONE_NAMES = [
    "phone", "Phone", "phone_number", "phoneNumber", "phonenumber", "phone1", "PHONE", "telephone", "tel", "telefon",
    "telefono", "telefone", "telefoon", "mobile", "mobile_number", "mobileNumber", "mobile_phone", "mobilephone", "handy",
    "handynummer", "cell", "cell_phone", "cellphone", "celular", "msisdn", "whatsapp", "whatsapp_number", "billing_phone",
    "billingPhone", "shipping_phone", "customer_phone", "customer[phone]", "user_phone", "contact_phone", "contact_number",
    "customer_contactno", "your-phone", "home_phone", "workPhone", "phone_no", "phone-number", "Telefonnummer", "movil",
    "portable", "numero_telefono", "rufnummer", "fax", "buyer_phone", "lead[phone]", "daytime_phone",
]  # fmt: skip
NAME_NAMES = [
    "first_name", "firstName", "firstname", "FirstName", "FIRST_NAME", "fname", "FNAME", "given_name", "givenName", "forename",
    "last_name", "lastName", "lastname", "lname", "LNAME", "surname", "family_name", "familyName", "full_name", "fullName",
    "fullname", "middle_name", "vorname", "Vorname", "nachname", "familienname", "prenom", "prénom",
    "apellido", "apellidos", "cognome", "voornaam", "achternaam", "sobrenome", "imie", "nazwisko", "customer_name",
    "customerName", "customer[first_name]", "billing_first_name", "billing_last_name", "billingFirstName", "buyer_first_name",
    "shipping_last_name", "user_name", "userFirstName", "customer_firstname", "customer_lastname", "cardholder_name",
    "contact_name", "recipient_name", "ship_to_first_name", "name_on_card", "maiden_name", "nombre_completo",
]  # fmt: skip
STREET_NAMES = [
    "street", "street1", "street_address", "streetAddress", "address", "address1", "address_1", "address2", "addressLine1",
    "address_line_1", "addr", "billing_address", "billing_address_1", "shipping_address1", "shippingAddress", "home_address",
    "mailing_address", "customer[address]", "customer_address_line1", "full_address", "strasse", "straße", "adresse",
    "direccion", "dirección", "calle", "rue", "indirizzo", "endereco", "adres", "anschrift", "lieferadresse",
    "delivery_address", "user_address", "shipping[address][line1]",
]  # fmt: skip
OWNED_ZIP_NAMES = [
    "billing_zip", "billing_postcode", "shipping_postal_code", "customer_address_zip", "address[zip]", "deliveryPostcode",
    "customer[zip]", "kunde_plz", "home_zip",
]  # fmt: skip
ZIP_NAMES = [
    "zip", "ZIP", "zipcode", "zip_code", "zipCode", "postcode", "post_code", "postal_code", "postalCode", "postalcode", "plz",
    "postleitzahl", "billing_zip", "billing_postcode", "shipping_postal_code", "customer_address_zip", "codigo_postal",
    "code_postal", "address[zip]",
]  # fmt: skip
BIRTH_NAMES = [
    "dob", "DOB", "date_of_birth", "dateOfBirth", "birth_date", "birthdate", "birthDate", "birthday", "bday", "geburtsdatum",
    "geburtstag", "fecha_nacimiento", "date_naissance", "user_birthday", "customer[dob]", "d.o.b.",
]  # fmt: skip
DOCUMENT_NAMES = ["ssn", "social_security_number", "tax_id", "taxId", "passport", "passport_number", "passportNo", "iban", "IBAN",
                  "national_id", "bank_account", "drivers_license", "customer_ssn", "codice_fiscale", "dni"]  # fmt: skip
PLACE_NAMES = ["billing_city", "shipping_city", "billingCity", "customer_city", "shipping[city]", "home_city", "billing_state",
               "shipping_country", "billing_country", "customer[address][city]", "order[billing_address][city]"]  # fmt: skip
ON_SHEET = ["city", "state", "country", "gender", "City"]  # as properties
OTHER_NAMES = ["q", "ref", "note", "utm_content", "data", "x", "comment", "u", "subscriber", "utm_term", "search", "id", "message",
               "entry.1234", "custom_1", "email_id", "mail", "sub_id", "contact", "redirect", "label"]  # fmt: skip


def _email(random: Random) -> str:
    local = random.choice(
        ["jane", "jane.doe", "j_doe", "Jane.Doe+News", "jürgen", "o'neill", "j-d", "x", "1987jane", "ИВАН"]
    )
    domain = random.choice(["example.com", "mail.example.co.uk", "gmail.com", "web.de", "bücher.example", "t-online.de", "x.io",
                            "EXAMPLE.ORG", "163.com", "sub-domain.example.museum", "xn--bcher-kva.example"])  # fmt: skip
    return f"{local}{random.choice(['', str(random.randrange(100))])}@{domain}"


def _phone(random: Random) -> str:
    while True:
        region = random.choice(
            ["US", "DE", "GB", "FR", "IN", "BR", "ES", "IT", "JP", "AU", "PL", "NL", "SG", "AE", "MX", "ZA"]
        )
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        assert example is not None
        national = str(example.national_number)
        digits = national[:-4] + f"{random.randrange(10_000):04}"
        number = phonenumbers.PhoneNumber(country_code=example.country_code, national_number=int(digits))
        if phonenumbers.is_valid_number(number):
            break
    code, rest = f"+{number.country_code}", str(number.national_number)
    way = random.randrange(6)
    if way == 0:
        return code + rest
    if way == 1:
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL))
    if way == 2:
        return f"{code} ({rest[:3]}) {rest[3:6]}-{rest[6:]}"
    if way == 3:
        return f"{code}.{rest[:3]}.{rest[3:6]}.{rest[6:]}"
    if way == 4:
        return f"tel:{code}{rest}"
    return f"{code}-{rest[:2]}-{rest[2:]}"


def _in_text(random: Random, contact: str) -> str:
    return random.choice(
        ["{}", "ordered by {}", "{} wrote", "Jane <{}>", "to: {}, thanks.", "[{}]", "x|{}|y", "A\t{}\nB"]
    ).format(contact)


def _birth(random: Random) -> str:
    year, month, day = random.randrange(1930, 2010), random.randrange(1, 13), random.randrange(1, 29)
    return random.choice(
        [f"{year}-{month:02}-{day:02}", f"{day}.{month}.{year}", f"{month}/{day}/{year}", f"May {day}, {year}"]
    )


def _person_name(random: Random) -> str:
    given, family = random.choice(GIVEN), random.choice(FAMILY).replace("_", " ")
    return random.choice([given, family, f"{given} {family}", f"{family}, {given}", given.upper(), given.lower()])


def _document(random: Random) -> str:
    return random.choice(
        [
            f"{random.randrange(10**8, 10**9)}",
            "DE89 3704 0044 0532 0130 00",
            "C01X00T47",
            "123-45-6789",
            "RSSMRA85T10A562S",
        ]
    )


def _odd_email(random: Random) -> str:
    """What an email's field holds besides addresses that anyone would recognise."""
    plain = _email(random)
    encoded = base64.b64encode(plain.encode()).decode()
    return random.choice(
        [plain, plain, encoded, "jane at example.com", "jane(at)example.com", "jane.doe", plain.replace("@", " @ ")]
    )


Made = Callable[[Random], tuple[str, str]]
PERSONAL: Mapping[str, Made] = {
    "email by name": lambda random: (random.choice(EMAIL_NAMES), _odd_email(random)),
    "phone by name": lambda random: (random.choice(PHONE_NAMES), random.choice([*LOCAL_PHONES, _phone(random)])),
    "name": lambda random: (random.choice(NAME_NAMES), _person_name(random)),
    "street": lambda random: (random.choice(STREET_NAMES), random.choice(STREETS)),
    "zip": lambda random: (random.choice(OWNED_ZIP_NAMES), random.choice(ZIPS)),
    "birth": lambda random: (random.choice(BIRTH_NAMES), _birth(random)),
    "document": lambda random: (random.choice(DOCUMENT_NAMES), _document(random)),
    "addressee": lambda random: (
        random.choice(["shipping_name", "delivery_name", "ship_name", "contact_person", "ansprechpartner", "shippingName"]),
        f"{random.choice(GIVEN)} {random.choice(FAMILY[:5])}",
    ),
    "name in other languages": lambda random: (
        random.choice(["nom", "nome", "nombre", "naam", "navn"]),
        f"{random.choice(['Jane', 'John', 'Anna', 'José'])} {random.choice(FAMILY[:5])}",
    ),
    "place": lambda random: (random.choice(PLACE_NAMES), random.choice(CITIES)),
    "email by value": lambda random: (random.choice(OTHER_NAMES), _in_text(random, _email(random))),
    "phone by value": lambda random: (random.choice(OTHER_NAMES), _in_text(random, _phone(random))),
    "login": lambda random: (random.choice(["username", "password", "user_name", "passwd"]), random.choice(["jane87", "s3cr3t!x"])),
    "ip": lambda random: (random.choice(["ip", "ip_address", "client_ip", "userIp"]), random.choice(["203.0.113.42", "2001:db8::1"])),
}  # fmt: skip
EVERYDAY = [
    "utm_source=newsletter",
    "order=10042",
    "gclid=Cj0KCQ-x_y",
    "page=2",
    "sku=A-1042",
    "q=red%20shoes",
    "flag",
    "v=",
]


def _url_around(random: Random, name: str, value: str) -> tuple[str, str]:
    """A URL that holds the parameter in one of the places it may have, and the same without it."""
    first = random.choice([quote, quote_plus])
    encoded = first(value, safe=random.choice(["", "@", "@/:"]))
    if random.random() < 0.1:
        encoded = quote(encoded, safe="")
    parameter = f"{random.choice([name, quote(name, safe='')])}={encoded}"
    others = random.sample(EVERYDAY, random.randrange(4))
    at = random.randrange(len(others) + 1)
    parts = [*others[:at], parameter, *others[at:]]
    base, sign = random.choice(
        [("https://shop.example/thanks", "?"), ("https://shop.example/", "#"), ("https://s.example/#/pay", "?")]
    )
    without = base + (sign if others else "") + "&".join(others)
    return base + sign + "&".join(parts), without


def test_of_personal_urls_every_one_is_cleaned() -> None:
    random = Random(17)
    missed: dict[str, list[str]] = {}
    for number in range(HOW_MANY):
        kind = list(PERSONAL)[number % len(PERSONAL)]
        name, value = PERSONAL[kind](random)
        url, without = _url_around(random, name, value)
        left, taken = without_personal_url(url)
        if left != without or taken != (unquote(name),):
            missed.setdefault(kind, []).append(f"{url} -> {left} {taken}")
    assert missed == {}


def test_of_personal_properties_every_one_is_left_out() -> None:
    random = Random(18)
    missed: dict[str, list[Any]] = {}
    for number in range(HOW_MANY):
        kind = list(PERSONAL)[number % len(PERSONAL)]
        name, value = PERSONAL[kind](random)
        if number % 10 == 0 and kind == "place":
            name = random.choice(ON_SHEET)
        if kind == "zip":
            name = random.choice(ZIP_NAMES)
        others = dict(random.sample(sorted(INNOCENT_PROPERTIES.items()), 3))
        left, taken = without_personal_properties({**others, name: value})
        if left != others or taken != (name,):
            missed.setdefault(kind, []).append((name, value, left, taken))
    assert missed == {}


# Figures over generated ones: innocent ------------------------------------------------------------------------------

INNOCENT_PROPERTIES: Mapping[str, Any] = {
    "quiz_name": "Skin type", "score": 87, "member": True, "coupon_name": "SPRING20", "plan_name": "Jane Doe Plan", "none": None,
    "price": 12.5, "method": "email", "page_title": "Thank you, we got your order!", "screen_name": "Checkout",
}  # fmt: skip
BRANDS = [
    "Michael Kors",
    "Thomas Sabo",
    "Kate Spade",
    "Georg Jensen",
    "Jean Paul Gaultier",
    "John Deere",
    "MICHAEL KORS",
]
TITLES = [
    "Jane Doe dress", "Red Shoes 42", "iPhone 15 Pro Max 256 GB", "Crème brûlée kit", "Größe M – blau", "Sofa »Anna« 3-Sitzer",
    "Cable 2x@50%", "USB-C @ 65W", "T-shirt (white/black)", "C++ for beginners", "A+ set: 12 pieces", "Café au lait + mug", "50% off",
    "Air Max 97", "東京タワー ポスター", "Чайник электрический", "Dr. Martens 1460", "Paul Smith Wallet", "Gift Card 25 EUR",
]  # fmt: skip
THING_NAMES = [
    "product_name", "campaign_name", "coupon_name", "plan_name", "list_name", "file_name", "event_name", "category_name",
    "brand_name", "company_name", "screen_name", "creative_name", "ad_name", "form_name", "store_name", "page_name",
    "variant_name", "quiz_name", "course_name", "collection_name", "template_name", "domain_name", "hostname", "item_name",
    "title", "label", "description", "content_name", "productName", "itemname", "item[name]", "team_name", "game_name",
]  # fmt: skip
ID_NAMES = [
    "order", "order_id", "orderId", "id", "transaction_id", "sku", "ean", "gtin", "upc", "product_id", "variant", "invoice_number",
    "user_id", "customer_id", "address_id", "email_id", "list_id", "campaign_id", "phone_id", "mail_id", "contact_id", "ref", "n",
    "number", "tracking_number", "item", "cart", "checkout_token", "session", "mobile_app_id", "zip_file_id", "emailid", "lead_id",
]  # fmt: skip
FLAG_NAMES = [
    "email", "phone", "mobile", "tel", "email_opt_in", "is_email_verified", "has_phone", "email_verified", "phone_verified",
    "sms_opt_in", "email_subscribed", "birthday", "address", "zip", "whatsapp", "first_name", "password", "newsletter_email", "name",
]  # fmt: skip
WORD_NAMES = [
    "utm_source", "utm_medium", "channel", "method", "source", "medium", "email_campaign", "mailing_list", "email_template",
    "email_type", "phone_model", "phone_type", "mobile_os", "mobile_browser", "address_type", "mail_type", "contact_method",
    "contact_type", "email_client", "customer_type", "customer_group", "user_type", "user_role", "street_style", "city_guide",
    "phone_case", "name_type", "birthday_campaign", "gender_filter", "zip_format", "telegram", "hotel", "emailing", "mobility",
    "celebration", "faxless", "phonebook", "shop_country", "store_city", "site_language", "order_state", "payment_state",
    "ip_version", "passport_required", "tax_id_type", "nickname_generator", "e_mail_marketing", "customer_segment",
]  # fmt: skip
CLICK_NAMES = ["gclid", "gbraid", "wbraid", "fbclid", "msclkid", "ttclid", "twclid", "epik", "ScCid", "li_fat_id", "rdt_cid", "_gl",
               "_ga", "dclid", "irclickid", "cjevent", "mc_eid", "yclid", "srsltid", "_hsenc", "vero_id", "fbp", "fbc"]  # fmt: skip
WORDS_OF_CAMPAIGNS = ["mail_2026", "email-spring-2026", "Newsletter 05/2026", "DE|Brand|Exact", "welcome_series_1", "jane_doe_dress",
                      "phone-cases", "+20% weekend", "24/7", "black friday", "summer+sale", "kw:red shoes", "A/B test #2", "email",
                      "sms", "cpc", "{campaignid}", "%%CAMPAIGN%%", "[object Object]", "undefined"]  # fmt: skip


def _number_of(random: Random, fewest: int, most: int) -> str:
    return str(random.randrange(10 ** (fewest - 1), 10**most))


def _ean(random: Random) -> str:
    digits = _number_of(random, 12, 12)
    total = sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(digits))
    return digits + str(-total % 10)


def _click_id(random: Random) -> str:
    signs = string.ascii_letters + string.digits + random.choice(["-_", "-_.", "*."])
    return "".join(random.choices(signs, k=random.randrange(16, 90)))


def _code(random: Random) -> str:
    return random.choice([
        f"ORD-{_number_of(random, 4, 9)}", f"#{_number_of(random, 4, 6)}", f"SKU{_number_of(random, 3, 8)}-XL", _number_of(random, 4, 19),
        f"2026-{_number_of(random, 6, 6)}", f"{_number_of(random, 3, 3)}-{_number_of(random, 7, 7)}-{_number_of(random, 7, 7)}",
        str(uuid.UUID(int=random.getrandbits(128))), f"49171{_number_of(random, 7, 7)}", f"0049171{_number_of(random, 7, 7)}",
        hashlib.md5(random.randbytes(8)).hexdigest(), sha256_hex(str(random.random())), f"gid://shopify/Order/{_number_of(random, 13, 13)}",
        f"A+{_number_of(random, 6, 12)}", f"1Z999AA1{_number_of(random, 10, 10)}",
    ])  # fmt: skip


def _instant(random: Random) -> str:
    hour, minute = random.randrange(24), random.randrange(60)
    offset = random.choice(["Z", "+01:00", "+0530", "-08:00", " +0000", "+00"])
    return random.choice([
        f"2026-11-{random.randrange(1, 31):02}T{hour:02}:{minute:02}:00{offset}", _number_of(random, 10, 10), _number_of(random, 13, 13),
        f"{hour:02}:{minute:02}", f"20.11.2026 {hour:02}:{minute:02}", f"Fri Nov 20 2026 {hour:02}:{minute:02}:00 GMT+0100 (CET)",
        f"UTC+{random.randrange(1, 12)}",
    ])  # fmt: skip


def _coordinates(random: Random) -> str:
    latitude, longitude = random.uniform(-90, 90), random.uniform(-180, 180)
    return random.choice([
        f"{latitude:.6f},{longitude:.6f}", f"@{latitude:.4f},{longitude:.4f},15z", f"{latitude:+.4f}{longitude:+.4f}/", f"{latitude:+.6f}",
        f"geo:{latitude:.4f},{longitude:.4f}", f"{abs(latitude):.0f}°{random.randrange(60)}'N", f"{latitude:+.5f}, {longitude:+.5f}",
    ])  # fmt: skip


def _price(random: Random) -> str:
    value = random.uniform(0, 5000)
    return random.choice(
        [
            f"{value:.2f}",
            f"{value:,.2f} €",
            f"+{value:.2f}",
            f"€{value:.0f}",
            f"+{value:.0f}%",
            f"{value:.0f}-{value * 2:.0f}",
        ]
    )


def _handle(random: Random) -> str:
    return random.choice(["@shop", "@jane.doe", "logo@2x.png", "icon@3x.webp", "react@18.2.0", "pkg@1.2.3-beta.rc1", "@types/node", "a@b",
                          "5 @ 10%", "user@", "@example.com", "v@1", "meet @ 5pm", "C@T", "@@", "{{email}}", "*|EMAIL|*", "%%email%%"])  # fmt: skip


INNOCENT: Mapping[str, Made] = {
    "ids": lambda random: (random.choice(ID_NAMES), _code(random)),
    "EANs": lambda random: (random.choice(ID_NAMES), _ean(random)),
    "titles": lambda random: (random.choice(THING_NAMES), random.choice(TITLES)),
    "people in titles": lambda random: (random.choice(THING_NAMES), random.choice(["Jane Doe", "Anna", "Max Mustermann"])),
    "flags": lambda random: (random.choice(FLAG_NAMES), random.choice(["1", "0", "true", "false", "yes", "no", "", "null", "undefined", "on"])),
    "digests": lambda random: (random.choice(EMAIL_NAMES + PHONE_NAMES), random.choice([DIGEST, DIGEST.upper(), f"{DIGEST}.AQYCAQIB"])),
    "words": lambda random: (random.choice(WORD_NAMES), random.choice(["email", "phone", "Gmail", "vip", "Berlin", "new", "iPhone 15", "home"])),
    "campaigns": lambda random: (random.choice(WORD_NAMES[:12]), random.choice(WORDS_OF_CAMPAIGNS)),
    "click ids": lambda random: (random.choice(CLICK_NAMES), _click_id(random)),
    "times": lambda random: (random.choice(["t", "time", "timestamp", "date", "delivery_date", "slot", "updated"]), _instant(random)),
    "coordinates": lambda random: (random.choice(["ll", "center", "geo", "lat", "map", "location", "position"]), _coordinates(random)),
    "prices": lambda random: (random.choice(["price", "total", "value", "discount", "tax", "change", "range"]), _price(random)),
    "signs": lambda random: (random.choice(["q", "by", "img", "lib", "handle", "twitter", "note"]), _handle(random)),
    "names in other languages": lambda random: (
        random.choice(["nom", "nome", "nombre", "naam", "navn"]),
        random.choice([*TITLES, "Chaussures", "Zapatos rojos", "Schoenen", "Jan", "Sko"]),
    ),
    "brands": lambda random: (random.choice(["name", "nom", "nome", "customer"]), random.choice(BRANDS)),
    "ways to ship": lambda random: (
        random.choice(["shipping_name", "delivery_name", "ship_name"]),
        random.choice(["DHL Express", "Standard Delivery", "Free Shipping", "UPS Ground", "express", "Abholung", "Click & Collect"]),
    ),
    "statuses": lambda random: (
        random.choice(["state", "State"]),
        random.choice(["in stock", "In Stock", "checkout", "refurbished", "processing order", "out of stock", "cart"]),
    ),
    "words of their kind": lambda random: random.choice(
        [("sex", "unisex"), ("username", "admin"), ("password", "reset"), ("mobile", "iPhone 15 128GB"), ("street", "wear"),
         ("gender", "kids"), ("phone", "Galaxy S24 256GB"), ("mobile", "Pixel 9 128 GB 2024"), ("street", "food")]
    ),
    "one of Meta's names": lambda random: random.choice(
        [("fn", "Jane"), ("ln", "en"), ("st", "new"), ("ct", "Berlin"), ("ph", "12"), ("db", "main"), ("ge", "f"), ("zp", "10115")]
    ),
    "names of things": lambda random: ("name", random.choice([*TITLES, "Summer Sale", "Skin Type", "newsletter", "Rose Gold", "Premium Plan"])),
}  # fmt: skip


def test_of_innocent_urls_none_is_changed() -> None:
    random = Random(19)
    wrong: dict[str, list[str]] = {}
    for number in range(HOW_MANY):
        kind = list(INNOCENT)[number % len(INNOCENT)]
        name, value = INNOCENT[kind](random)
        other = random.choice(
            ["country=DE", "state=NY", "city=Berlin", "region=eu", "gender=women", "utm_source=email", "flag"]
        )
        query = random.choice(
            [
                urlencode({name: value}),
                f"{name}={quote(value, safe='@:/')}",
                f"{name}={quote(quote(value, safe=''), safe='')}",
            ]
        )
        path = random.choice(
            [
                "",
                "p/red-shoes-1042",
                "maps/@48.85,2.35,15z",
                "logo@2x.png",
                "@shop",
                "c++/+1",
                "de;v=2",
                "a:b",
                "ü%C3%BC",
            ]
        )
        url = random.choice(
            ["https://shop.example/{}?{}&{}", "https://shop.example/{}?{}#{}", "https://shop.example/{}#/x?{}&{}"]
        )
        url = url.format(path, query, other)
        left, taken = without_personal_url(url)
        if left is not url or taken:
            wrong.setdefault(kind, []).append(f"{url} {taken}")
    assert wrong == {}


def test_of_innocent_properties_none_is_left_out() -> None:
    random = Random(20)
    wrong: dict[str, list[Any]] = {}
    for number in range(HOW_MANY):
        kind = list(INNOCENT)[number % len(INNOCENT)]
        name, value = INNOCENT[kind](random)
        properties = {**INNOCENT_PROPERTIES, name: value}
        left, taken = without_personal_properties(properties)
        if left is not properties or taken:
            wrong.setdefault(kind, []).append((name, value, taken))
    assert wrong == {}
