"""A session with a mail server: encrypted, with a proven name, before any password is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.factories import API_KEY_SECRET
from tests.smtp import BANNER, END, EndlessServer, MailServer
from tracklayer.cli import doctor, main
from tracklayer.services.mail import FateUnknownError, Mailer, NotSentError, NotThisOneError, RefusedError, SmtpServer

LOGIN = ("canary", "hunter2")
OPS = "ops@shop.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key, and a certificate that it signed for itself: the name is this machine's loopback address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


@contextmanager
def mailer(server: MailServer) -> Iterator[Mailer]:
    with Mailer(SmtpServer.from_url(server.url, "")) as found:
        yield found


def message() -> EmailMessage:
    found = EmailMessage()
    found["Subject"] = "An alert"
    found.set_content("It is down.")
    return found


@pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "smtps"])
@pytest.mark.usefixtures("_trusted")
def test_a_message_goes_out_encrypted_and_with_a_password(certificate: Path, starttls: bool) -> None:
    with MailServer(LOGIN, certificate, starttls=starttls) as server, mailer(server) as session:
        session.send(message(), OPS)
        session.send(message(), OPS)
    assert [recipient for recipient, _ in server.mails] == [OPS, OPS]


@pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "smtps"])
def test_no_password_is_told_to_a_server_that_does_not_prove_its_name(certificate: Path, starttls: bool) -> None:
    with MailServer(LOGIN, certificate, starttls=starttls) as server, mailer(server) as session:
        for _ in range(2):
            with pytest.raises(NotSentError, match="its certificate is self-signed, and not trusted here"):
                session.send(message(), OPS)
    assert server.mails == []


def test_without_a_password_any_encryption_is_better_than_none(certificate: Path) -> None:
    with MailServer(None, certificate, starttls=True) as server, mailer(server) as session:
        session.send(message(), OPS)
    assert len(server.mails) == 1


def test_no_password_crosses_a_network_in_the_clear() -> None:
    with MailServer(LOGIN) as server:
        elsewhere = server.url.replace("127.0.0.1", "0.0.0.0")  # leads here, and does not look like it
        session = Mailer(SmtpServer.from_url(elsewhere, ""))
        for _ in range(2):  # the second finds no session that the first left behind
            with pytest.raises(NotSentError, match="NoTlsForThePassword"):
                session.send(message(), OPS)
    assert server.mails == []


@pytest.mark.parametrize(
    ("password", "trusted", "says"),
    [
        pytest.param("hunter2", True, "ok     mail        127.0.0.1 answers and knows us", id="all is well"),
        pytest.param("wrong", True, "127.0.0.1 takes no mail (SMTPAuthenticationError 535)", id="a wrong password"),
        pytest.param(
            "hunter2",
            False,
            "127.0.0.1 takes no mail (its certificate is self-signed, and not trusted here)",
            id="an unknown authority",
        ),
    ],
)
def test_doctor_does_what_a_message_would(
    database: str,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: str,
    trusted: bool,
    says: str,
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    with MailServer(LOGIN, certificate) as server:
        monkeypatch.setenv("TRACKLAYER_SMTP_URL", server.url.replace("hunter2", password))
        main(["doctor"])
    output = capsys.readouterr().out
    assert says in output
    assert password not in output


@pytest.mark.parametrize("place", [BANNER, b"EHLO", b"MAIL", b"RCPT", b"DATA"], ids=bytes.decode)
def test_an_answer_without_an_end_before_the_message_left_is_cut_off_and_nothing_went_out(place: bytes) -> None:
    with (
        EndlessServer(place) as server,
        Mailer(SmtpServer.from_url(server.url, ""), seconds=0.2) as session,
        pytest.raises(NotSentError, match="TooSlow"),
    ):
        session.send(message(), OPS)


def test_an_answer_without_an_end_to_the_message_itself_leaves_its_fate_unknown() -> None:
    with EndlessServer(END) as server, Mailer(SmtpServer.from_url(server.url, "")) as session:

        def cut() -> None:
            server.reached.wait(60)
            session.cut()

        cutter = threading.Thread(target=cut)
        cutter.start()
        with pytest.raises(FateUnknownError, match="TooSlow"):
            session.send(message(), OPS)
        cutter.join()


def test_a_farewell_without_an_end_is_cut_off() -> None:
    with (
        EndlessServer(b"QUIT") as server,
        Mailer(SmtpServer.from_url(server.url, ""), seconds=0.5) as session,
        contextlib.suppress(NotSentError),  # where the machine is too busy to open it in time
    ):
        session.open()


def test_doctor_waits_for_no_answer_without_an_end(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "MAIL_WHOLE_SECONDS", 0.2)
    monkeypatch.setenv("TRACKLAYER_DATABASE_URL", database)
    monkeypatch.setenv("TRACKLAYER_SECRET_KEY", API_KEY_SECRET)
    with EndlessServer(BANNER) as server:
        monkeypatch.setenv("TRACKLAYER_SMTP_URL", server.url)
        main(["doctor"])
    assert "FAULT  mail        127.0.0.1 takes no mail (TooSlow)" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["451 not now", "421 too many"])
def test_a_session_in_which_one_message_was_not_taken_serves_the_next(code: str) -> None:
    with MailServer() as server, mailer(server) as session:
        server.refuse_recipient = {OPS: code, "typo@shop.example": "550 no such address"}
        with pytest.raises(RefusedError, match="Refused550"):
            session.send(message(), "typo@shop.example")
        with pytest.raises(NotSentError) as error:
            session.send(message(), OPS)
        assert isinstance(error.value, NotThisOneError) == code.startswith("451")
        session.send(message(), "boss@shop.example")
    assert [recipient for recipient, _ in server.mails] == ["boss@shop.example"]


def test_lines_that_begin_with_a_dot_arrive_as_they_are() -> None:
    text = ".\n..\n.hidden\nvisible.\n"
    dotted = EmailMessage()
    dotted.set_content(text)
    with MailServer() as server, mailer(server) as session:
        session.send(dotted, OPS)
        session.send(message(), OPS)
    ((_, first), (_, second)) = server.mails
    assert first.get_content().replace("\r\n", "\n") == text
    assert second["Subject"] == "An alert"
