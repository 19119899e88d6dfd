"""A session with a mail server: encrypted, with a proven name, before any password is told."""

from __future__ import annotations

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
from tests.smtp import MailServer
from tracklayer.cli import main
from tracklayer.services.mail import Mailer, NotSentError, SmtpServer

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
            with pytest.raises(NotSentError, match="SSLCertVerificationError"):
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
        pytest.param("hunter2", False, "127.0.0.1 takes no mail (SSLCertVerificationError)", id="an unknown authority"),
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
