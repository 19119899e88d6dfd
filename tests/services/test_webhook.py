"""One POST to an address that a merchant gave, against real servers: bounded in time, and never into a private network."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.receiver import CLOSE, ENDLESS, HALF, HANG, TRICKLE, Receiver
from tests.servers import free_port
from tracklayer.runtime import trusted_certificates
from tracklayer.services.webhook import Answer, NoAddressError, post

NAME = "hooks.shop.example"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def send(url: str, *, allow_private: bool = True, seconds: float = 10.0, body: bytes = b"{}") -> Answer:
    return post(url, body, {"x-test": "1"}, trusted_certificates(), allow_private=allow_private, seconds=seconds)


def test_what_is_taken_arrived_as_it_was_sent(receiver: Receiver) -> None:
    assert send(f"{receiver.url}/hooks/a?b=c%20d", body=b'{"a":1}') == Answer(200, None)
    (got,) = receiver.got
    assert (got.path, got.body, got.headers["x-test"]) == ("/hooks/a?b=c%20d", b'{"a":1}', "1")
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("status", "error", "may_have_it"),
    [
        (204, None, False),
        (302, "It answered 302, a redirect, which is not followed: give the address it leads to.", False),
        (410, "It answered 410: there is nothing at this address any more.", False),
        (500, "It answered 500.", True),
        (503, "It answered 503.", False),
        (401, "It answered 401.", False),
    ],
)
def test_only_a_2xx_means_that_it_was_taken(
    receiver: Receiver, status: int, error: str | None, may_have_it: bool
) -> None:
    receiver.answer_headers = {"location": f"{receiver.url}/elsewhere"}
    receiver.plan = [status]
    assert send(f"{receiver.url}/hook") == Answer(status, error, may_have_it=may_have_it)
    assert [got.path for got in receiver.got] == ["/hook"]  # a redirect leads nowhere


def test_a_wish_to_be_left_alone_is_read_within_bounds(receiver: Receiver) -> None:
    for wish, seconds in (
        ("120", 120.0),
        ("999999", 3600.0),
        ("-1", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 3600.0),
        ("tomorrow", 0.0),
    ):
        receiver.answer_headers, receiver.plan = {"retry-after": wish}, [429]
        assert send(receiver.url).retry_after == seconds


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        (HANG, "It did not answer within 10 seconds."),
        (TRICKLE, "It did not answer within 10 seconds."),
        (HALF, "It closed the connection before it had answered."),
        (CLOSE, "It closed the connection before it had answered."),
    ],
)
def test_a_receiver_that_does_not_answer_ends_in_time(receiver: Receiver, deed: str, error: str) -> None:
    receiver.plan = [deed]
    # One that hangs would hang up after half a minute, one that trickles never.
    assert send(receiver.url, seconds=0.5) == Answer(None, error, may_have_it=True)


def test_an_answer_without_end_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.plan = [ENDLESS]
    assert send(receiver.url) == Answer(200, None)


def test_nobody_there_is_said_so() -> None:
    assert send(f"http://127.0.0.1:{free_port()}") == Answer(None, "It was not reached: the connection was refused.")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_nothing_goes_into_a_private_network_however_it_is_written(receiver: Receiver, host: str) -> None:
    answer = send(f"http://{host}:{receiver.port}/", allow_private=False)
    assert answer == Answer(None, "It was not reached: its name leads into a private network.")
    assert receiver.got == []


@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0", "fe80::1%lo"])
def test_a_name_of_this_machine_that_leads_elsewhere_inside_too_is_refused(receiver: Receiver, inside: str) -> None:
    def ask(*addresses: str) -> Answer:
        url = f"http://{NAME}:{receiver.port}/"
        resolve = lambda host, port, seconds: addresses  # noqa: E731
        return post(url, b"", {}, trusted_certificates(), allow_private=False, allow_loopback=True, resolve=resolve)

    assert ask("127.0.0.1", inside) == Answer(None, "It was not reached: its name leads into a private network.")
    assert receiver.got == []
    assert ask("127.0.0.1") == Answer(200, None)


def test_one_private_address_among_public_ones_is_enough_to_refuse(receiver: Receiver) -> None:
    def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
        return ["93.184.216.34", "127.0.0.1"]

    answer = post(
        f"http://{NAME}:{receiver.port}/", b"", {}, trusted_certificates(), allow_private=False, resolve=resolve
    )
    assert answer == Answer(None, "It was not reached: its name leads into a private network.")
    assert receiver.got == []


def test_a_name_is_looked_up_once_and_the_connection_goes_to_what_was_judged(receiver: Receiver) -> None:
    """A name that means something else at the second look gains nothing: there is no second look."""
    looks: list[str] = []

    def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
        looks.append(host)
        return ["127.0.0.1"]

    answer = post(
        f"http://{NAME}:{receiver.port}/", b"", {}, trusted_certificates(), allow_private=True, resolve=resolve
    )
    assert answer == Answer(200, None)
    assert looks == [NAME]  # which no resolver knows: only the judged address can have been connected to
    assert receiver.got[0].headers["host"] == f"{NAME}:{receiver.port}"


def test_a_name_that_is_not_known_is_said_so(receiver: Receiver) -> None:
    def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
        raise NoAddressError("its name is not known")

    answer = post("http://nowhere.example/", b"", {}, trusted_certificates(), allow_private=False, resolve=resolve)
    assert answer == Answer(None, "It was not reached: its name is not known.")


def certificate(folder: Path, name: str, begins: int = -1, ends: int = 1) -> Path:
    """A certificate for a name that signs itself, with its key, in one file. ``begins``, ``ends``: days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=ends))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_tls_is_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
        return ["127.0.0.1"]

    path = certificate(tmp_path, NAME)
    trusted = ssl.create_default_context(cafile=str(path))
    with Receiver(certificate=path) as receiver:
        url = f"https://{NAME}:{receiver.port}/hook"
        assert post(url, b"{}", {}, trusted, allow_private=True, resolve=resolve) == Answer(200, None)
        assert receiver.got[0].name == NAME
        other = f"https://other.example:{receiver.port}/hook"
        refused = Answer(None, "It was not reached: its certificate is not valid for this name.")
        assert post(other, b"{}", {}, trusted, allow_private=True, resolve=resolve) == refused
        unknown = Answer(None, "It was not reached: its certificate is self-signed, and not trusted here.")
        assert post(url, b"{}", {}, trusted_certificates(), allow_private=True, resolve=resolve) == unknown
        plain = f"http://{NAME}:{receiver.port}/hook"
        assert post(plain, b"{}", {}, trusted, allow_private=True, resolve=resolve).error is not None
    with Receiver() as receiver:
        url = f"https://{NAME}:{receiver.port}/hook"
        answer = post(url, b"{}", {}, trusted, allow_private=True, resolve=resolve)
        assert answer == Answer(None, "It was not reached: it does not speak TLS there.")


@pytest.mark.parametrize(
    ("begins", "ends", "wrong"),
    [(-9, -1, "has expired"), (1, 9, "is not valid yet: a clock is wrong, there or here")],
    ids=["expired", "not yet"],
)
def test_a_certificate_is_said_to_be_what_it_is(tmp_path: Path, begins: int, ends: int, wrong: str) -> None:
    def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
        return ["127.0.0.1"]

    path = certificate(tmp_path, NAME, begins, ends)
    trusted = ssl.create_default_context(cafile=str(path))
    with Receiver(certificate=path) as receiver:
        answer = post(f"https://{NAME}:{receiver.port}/hook", b"{}", {}, trusted, allow_private=True, resolve=resolve)
        assert answer == Answer(None, f"It was not reached: its certificate {wrong}.")
        by_address = post(f"{receiver.url}/hook", b"{}", {}, trusted, allow_private=True)
        assert by_address.error is not None
