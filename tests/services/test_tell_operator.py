"""The operator's channels, against servers that never end what they say: over in time, and nobody waits behind them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from starlette.datastructures import Secret

from tests.operator_receiver import Receiver
from tests.servers import free_port
from tests.smtp import END, EndlessServer, MailServer
from tracklayer.services.tell_operator import Notice, NotToldError, Teller
from tracklayer.settings import load_settings

NOTICE = Notice("1", "no_worker", "critical", "open", "No worker is running", "Start one.", datetime.now(UTC))
BETWEEN = 0.05  # seconds between two bytes: no step is ever out of time
PATIENCE = 60.0  # seconds until a test gives up on what should have ended long before


@contextmanager
def dripping(first: bytes) -> Iterator[int]:
    """A server's port. It says ``first`` to whoever connects, then one byte after another, for ever."""
    ended = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(first)
            while not ended.wait(BETWEEN):
                connection.sendall(b"a")

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(server.getsockname()[1])
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def teller(**settings: Any) -> Teller:
    return Teller(replace(load_settings({}), **settings), seconds=0.5)


def fault_of(what: Any) -> NotToldError:
    """How it failed, which it must within ``PATIENCE``."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            what()
        except NotToldError as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"
    (error,) = raised
    assert isinstance(error, NotToldError)
    return error


def test_a_webhook_and_a_switch_that_answer_drop_by_drop_are_over_in_time() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\nx-drip: ") as port:
        url = Secret(f"http://127.0.0.1:{port}/hook")
        those = teller(operator_webhook=url, heartbeat_url=url)
        assert "did not answer" in fault_of(lambda: those.tell("webhook", NOTICE)).reason
        assert "did not answer" in fault_of(those.ping).reason


@pytest.mark.parametrize("first", [b"2", b"220 mail.example\r\n250-"], ids=["greeting", "answer"])
def test_a_mail_server_that_answers_drop_by_drop_is_cut_off(first: bytes) -> None:
    before = set(threading.enumerate())
    with dripping(first) as port:
        those = teller(operator_email=("ops@example.com",), smtp_url=Secret(f"smtp://127.0.0.1:{port}"))
        fault_of(lambda: those.tell(those.channels[0], NOTICE))
        for thread in set(threading.enumerate()) - before:
            if thread.name == "operator's mail":
                thread.join(PATIENCE)
                assert not thread.is_alive(), "the session goes on"


def test_a_login_in_the_address_goes_along() -> None:
    with Receiver() as receiver:
        url = receiver.url.replace("http://", "http://jane:p%40ss@")
        teller(operator_webhook=Secret(url)).tell("webhook", NOTICE)
        teller(heartbeat_url=Secret(url)).ping()
    assert receiver.logins == ["Basic amFuZTpwQHNz"] * 2
    assert receiver.bodies[0]["kind"] == "no_worker"


def test_nobody_there_is_a_reason_without_the_address() -> None:
    those = teller(operator_webhook=Secret(f"http://127.0.0.1:{free_port()}/secret"))
    assert fault_of(lambda: those.tell("webhook", NOTICE)).reason == "It was not reached: the connection was refused"


def test_mail_goes_as_before() -> None:
    with MailServer() as server:
        those = Teller(replace(load_settings({}), operator_email=("a@example.com",), smtp_url=Secret(server.url)))
        those.tell(those.channels[0], NOTICE)
    assert [recipient for recipient, _ in server.mails] == ["a@example.com"]


def test_a_mail_server_that_takes_its_time_for_a_whole_mail_has_taken_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with MailServer() as server:
        answer = server.handle_DATA

        async def slow(smtp: SMTP, session: Any, envelope: Any) -> str:
            await asyncio.sleep(1)
            return await answer(smtp, session, envelope)

        monkeypatch.setattr(server, "handle_DATA", slow)
        those = teller(operator_email=("a@example.com",), smtp_url=Secret(server.url))
        those.tell(those.channels[0], NOTICE)
        assert [recipient for recipient, _ in server.mails] == ["a@example.com"]


def test_a_mail_that_may_have_arrived_is_not_told_and_comes_again_as_the_same() -> None:
    with MailServer() as server:

        def cut(smtp: SMTP) -> None:
            transport: Any = smtp.transport
            transport.abort()

        server.on_taken = cut
        those = teller(operator_email=("a@example.com",), smtp_url=Secret(server.url))
        assert fault_of(lambda: those.tell(those.channels[0], NOTICE)).reason.startswith("it may have arrived: ")
        server.on_taken = lambda smtp: None
        those.tell(those.channels[0], NOTICE)
        those.tell(those.channels[0], replace(NOTICE, severity="warning"))
    first, again, other = [message["Message-ID"] for _, message in server.mails]
    assert first == again != other


def test_a_mail_server_that_never_answers_to_a_whole_mail_is_cut_off() -> None:
    with EndlessServer(END) as server:
        settings = replace(load_settings({}), operator_email=("a@example.com",), smtp_url=Secret(server.url))
        those = Teller(settings, seconds=0.5, answer_seconds=0.2)
        assert fault_of(lambda: those.tell(those.channels[0], NOTICE)).reason == "it may have arrived: TooSlow"
