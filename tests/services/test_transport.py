"""Real HTTP against a server that answers, hangs and hangs up as it is told."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpcore
import httpx
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.platform_server import Answer, Platform, answered, written
from tests.servers import wait_until
from tracklayer.domain.delivery import (
    Auth,
    BearerToken,
    BodyToken,
    HeaderToken,
    NoAnswer,
    NoAuth,
    NotSent,
    OAuth1,
    PlatformReply,
    PlatformRequest,
    QueryToken,
    RefreshedToken,
    Reply,
    ServiceAccount,
    TokenRefused,
)
from tracklayer.platform_client import MOST_LATE_READS, _Backend, _Gate, _Gathering
from tracklayer.runtime import Runtime
from tracklayer.sealing import Sealer
from tracklayer.services.transport import MAX_REPLY, send
from tracklayer.settings import load_settings

TOKEN = "t0ken-canary+/=&"
SECRET = "s3cret-canary"
BODY = {"data": [{"event_name": "Purchase", "value": 129.99}]}
NO_AUTH = NoAuth()


@pytest.fixture
def platform() -> Iterator[Platform]:
    started = Platform()
    yield started
    started.close()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """The client that deliveries use, only less patient."""
    runtime = Runtime(load_settings({}), "", Sealer(["k" * 32]), http_timeout=httpx.Timeout(0.5))
    yield runtime.http()
    runtime.close()


def posted(http: httpx.Client, platform: Platform, auth: Auth = NO_AUTH, path: str = "/v1/events") -> Reply:
    return send(http, "meta", PlatformRequest(f"{platform.url}{path}", BODY, auth))


DATA_SEGMENTS_IN = 152  # where Linux's tcp_info says how many packets with data came


@pytest.mark.skipif(sys.platform != "linux", reason="how many packets came is asked of Linux")
def test_a_request_leaves_in_one_piece(http: httpx.Client, platform: Platform) -> None:
    found: list[int] = []

    def count(handler: BaseHTTPRequestHandler) -> None:
        info = handler.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        found.append(*struct.unpack_from("I", info, DATA_SEGMENTS_IN))
        answered(200, b'{"ok":true}')(handler)

    platform.answer = count
    assert isinstance(posted(http, platform), PlatformReply)
    assert found == [1]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?access_token=a.b_c-d~e%2B%2F%3D",
        "?a=1&b=2+3",
        "?a=b c",
        "?a=%zz&b=ä",
        "?a='\"<>",
        "?a=b#c",
        "?a=b?c/d:e@f",
        "?a=%2f",
    ],
)
def test_an_address_is_read_as_httpx_reads_it(http: httpx.Client, query: str) -> None:
    for address in ("https://graph.example.com/v1/1234/events", "http://127.0.0.1:8000", "https://x.example/a%20b"):
        url = f"{address}{query}"
        for _ in range(2):
            built = http.build_request("POST", url, content=b"{}", headers={}).url
            assert built == httpx.URL(url)
            assert (built.raw_path, built.host, built.port) == (
                httpx.URL(url).raw_path,
                httpx.URL(url).host,
                httpx.URL(url).port,
            )


# Credentials -------------------------------------------------------------------------------------------------------


def test_a_request_is_json_with_our_name_on_it(http: httpx.Client, platform: Platform) -> None:
    request = PlatformRequest(f"{platform.url}/v1/events", BODY, headers={"X-Version": "202611"})
    reply = send(http, "meta", request)
    assert reply == PlatformReply(200, {"ok": True}, {"content-length": "11", "connection": "close"}, '{"ok":true}')
    (received,) = platform.received
    assert (received.method, received.target) == ("POST", "/v1/events")
    assert orjson.loads(received.body) == BODY
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "TrackLayer/0.1"
    assert received.headers["x-version"] == "202611"
    assert "authorization" not in received.headers
    assert "cookie" not in received.headers


@pytest.mark.parametrize(
    ("auth", "place", "value"),
    [
        pytest.param(BearerToken(TOKEN), "authorization", f"Bearer {TOKEN}", id="bearer token"),
        pytest.param(HeaderToken("Access-Token", TOKEN), "access-token", TOKEN, id="header token"),
    ],
)
def test_a_token_in_a_header_is_nowhere_else(
    http: httpx.Client, platform: Platform, auth: Auth, place: str, value: str
) -> None:
    assert isinstance(posted(http, platform, auth), PlatformReply)
    (received,) = platform.received
    assert received.headers[place] == value
    assert received.places_of(TOKEN) == [place]
    assert orjson.loads(received.body) == BODY


def test_a_token_in_the_body_is_nowhere_else(http: httpx.Client, platform: Platform) -> None:
    posted(http, platform, BodyToken("access_token", TOKEN))
    (received,) = platform.received
    assert orjson.loads(received.body) == {**BODY, "access_token": TOKEN}
    assert received.places_of(TOKEN) == ["body"]
    assert BODY == {"data": [{"event_name": "Purchase", "value": 129.99}]}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("/v1/events", [("api_secret", TOKEN)], id="alone"),
        pytest.param("/mp/collect?id=G-1", [("id", "G-1"), ("api_secret", TOKEN)], id="beside another parameter"),
        pytest.param("/mp/collect?id=1:2:ios:a", [("id", "1:2:ios:a"), ("api_secret", TOKEN)], id="beside colons"),
    ],
)
def test_a_token_in_the_query_is_nowhere_else(
    http: httpx.Client, platform: Platform, path: str, query: list[tuple[str, str]]
) -> None:
    posted(http, platform, QueryToken("api_secret", TOKEN), path)
    (received,) = platform.received
    assert received.target.startswith(path)  # as it was written: some platforms take no colon that is encoded
    assert received.query == query
    assert received.places_of(TOKEN) == ["query"]
    assert orjson.loads(received.body) == BODY


def test_a_refreshed_token_goes_out_as_a_bearer_token_and_its_secret_only_to_the_token_url(
    http: httpx.Client, platform: Platform
) -> None:
    content = orjson.dumps({"access_token": TOKEN, "expires_in": 3600})
    platform.answer = answered(200, content)
    form = {"grant_type": "refresh_token", "client_id": "me", "client_secret": SECRET}
    assert isinstance(posted(http, platform, RefreshedToken(f"{platform.url}/token", form)), PlatformReply)
    asked, sent = platform.received
    assert (asked.target, dict(parse_qsl(asked.body.decode()))) == ("/token", form)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.places_of(SECRET) == ["body"]
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert (sent.places_of(TOKEN), sent.places_of(SECRET)) == (["authorization"], [])
    assert orjson.loads(sent.body) == BODY


def test_a_service_accounts_key_is_never_sent(http: httpx.Client, platform: Platform) -> None:
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    platform.answer = answered(200, orjson.dumps({"access_token": TOKEN, "expires_in": 3600}))
    key = {
        "client_email": "robot@project.example",
        "private_key": pem,
        "private_key_id": "kid-1",
        "token_uri": f"{platform.url}/token",
    }
    assert isinstance(posted(http, platform, ServiceAccount(key, "scope-1")), PlatformReply)
    asked, sent = platform.received
    assert asked.target == "/token"
    assert set(dict(parse_qsl(asked.body.decode()))) == {"grant_type", "assertion"}
    assert sent.headers["authorization"] == f"Bearer {TOKEN}"
    assert sent.places_of(TOKEN) == ["authorization"]
    for line in pem.splitlines():
        assert not asked.places_of(line)
        assert not sent.places_of(line)


def test_an_oauth_1_signature_carries_no_secret(http: httpx.Client, platform: Platform) -> None:
    auth = OAuth1("consumer-key", f"{SECRET}-1", "access-key", f"{SECRET}-2")
    posted(http, platform, auth)
    (received,) = platform.received
    header = received.headers["authorization"]
    assert header.startswith("OAuth ")
    signed = dict(part.strip().split("=", 1) for part in header.removeprefix("OAuth ").split(","))
    assert signed["oauth_consumer_key"] == '"consumer-key"'
    assert signed["oauth_token"] == '"access-key"'
    assert signed["oauth_signature_method"] == '"HMAC-SHA1"'
    assert received.places_of(SECRET) == []
    assert received.places_of("consumer-key") == ["authorization"]
    assert orjson.loads(received.body) == BODY


@pytest.mark.parametrize("token", ["pasted\n", "pasted\u2026"], ids=ascii)
@pytest.mark.parametrize("kind", ["bearer", "header"])
def test_a_token_that_no_header_can_carry_is_not_sent(
    http: httpx.Client, platform: Platform, token: str, kind: str
) -> None:
    auth = BearerToken(token) if kind == "bearer" else HeaderToken("X-Token", token)
    reply = posted(http, platform, auth)
    assert isinstance(reply, NotSent)
    assert token.strip() not in reply.reason
    assert platform.received == []


# Answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 400, 401, 403, 404, 413, 429, 500, 502, 503])
def test_every_status_is_an_answer(http: httpx.Client, platform: Platform, status: int) -> None:
    platform.answer = answered(status, b'{"code":7}', "Retry-After: 30", "X-Request-Id: A")
    reply = posted(http, platform)
    assert isinstance(reply, PlatformReply)
    assert (reply.status, reply.json) == (status, {"code": 7})
    assert (reply.headers["retry-after"], reply.headers["x-request-id"]) == ("30", "A")


@pytest.mark.parametrize(
    ("body", "json", "text"),
    [
        pytest.param(b"", None, "", id="nothing"),
        pytest.param(b"<html>Bad Gateway</html>", None, "<html>Bad Gateway</html>", id="html"),
        pytest.param(b'{"ok":', None, '{"ok":', id="half an object"),
        pytest.param(b'{"a": NaN}', None, '{"a": NaN}', id="NaN"),
        pytest.param(b"null", None, "null", id="null"),
        pytest.param(b"[1, 2]", [1, 2], "[1, 2]", id="a list"),
        pytest.param(b'"ok"', "ok", '"ok"', id="text"),
        pytest.param(b"\xff\xfe", None, "��", id="no UTF-8"),
        pytest.param(b"x" * 5000, None, "x" * 2000, id="a long page"),
    ],
)
def test_a_body_that_is_no_json_is_an_answer_without_json(
    http: httpx.Client, platform: Platform, body: bytes, json: Any, text: str
) -> None:
    platform.answer = answered(502, body)
    reply = posted(http, platform)
    assert isinstance(reply, PlatformReply)
    assert (reply.status, reply.json, reply.text) == (502, json, text)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(http: httpx.Client, platform: Platform, status: int) -> None:
    platform.answer = answered(status, b"", f"Location: {platform.url}/elsewhere")
    reply = posted(http, platform, BearerToken(TOKEN))
    assert isinstance(reply, PlatformReply)
    assert reply.status == status
    assert [received.target for received in platform.received] == ["/v1/events"]


def test_no_cookie_is_kept_from_one_request_to_the_next(http: httpx.Client, platform: Platform) -> None:
    platform.answer = answered(200, b"{}", "Set-Cookie: session=1; Path=/")
    posted(http, platform)
    posted(http, platform)
    assert ["cookie" in received.headers for received in platform.received] == [False, False]


def test_a_compressed_answer_is_read(http: httpx.Client, platform: Platform) -> None:
    platform.answer = answered(200, gzip.compress(b'{"ok":true}'), "Content-Encoding: gzip")
    reply = posted(http, platform)
    assert isinstance(reply, PlatformReply)
    assert reply.json == {"ok": True}


def test_the_longest_answer_is_read_and_a_longer_one_is_none(http: httpx.Client, platform: Platform) -> None:
    platform.answer = answered(200, b'"' + b"x" * (MAX_REPLY - 2) + b'"')
    reply = posted(http, platform)
    assert isinstance(reply, PlatformReply)
    assert reply.json == "x" * (MAX_REPLY - 2)
    platform.answer = answered(200, b'"' + b"x" * (MAX_REPLY - 1) + b'"')
    assert posted(http, platform) == NoAnswer("the answer was too long to be one")


def test_an_answer_that_is_packed_twice_is_none(http: httpx.Client, platform: Platform) -> None:
    twice = gzip.compress(gzip.compress(b"{}"))
    platform.answer = answered(200, twice, "Content-Encoding: gzip, gzip")
    assert posted(http, platform) == NoAnswer("the answer was too long to be one")


def test_an_answer_that_unfolds_to_a_gigabyte_is_none(http: httpx.Client, platform: Platform) -> None:
    platform.answer = answered(200, gzip.compress(b"\x00" * MAX_REPLY * 8), "Content-Encoding: gzip")
    assert posted(http, platform) == NoAnswer("the answer was too long to be one")


# No answers --------------------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_refused_connection_means_that_nothing_was_sent(http: httpx.Client) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1/events"
    assert send(http, "meta", PlatformRequest(url, BODY, BearerToken(TOKEN))) == NotSent("the connection failed")


def test_a_name_that_nobody_has_means_that_nothing_was_sent(http: httpx.Client) -> None:
    assert send(http, "meta", PlatformRequest("http://platform.invalid/", BODY)) == NotSent("the connection failed")


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(written(), id="before the answer"),
        pytest.param(written(b"HTTP/1.1 200 OK\r\ncontent-ty"), id="within the headers"),
        pytest.param(written(b'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{"ok":'), id="within the body"),
        pytest.param(written(CHUNKED), id="within a chunk"),
        pytest.param(written(b"220 mail.example.com ESMTP\r\n\r\n"), id="by another protocol"),
        pytest.param(answered(200, b"no gzip at all", "Content-Encoding: gzip"), id="not compressed as it says"),
    ],
)
def test_a_cut_answer_is_none_and_the_events_may_have_arrived(
    http: httpx.Client, platform: Platform, answer: Answer
) -> None:
    platform.answer = answer
    assert isinstance(posted(http, platform, BearerToken(TOKEN)), NoAnswer)
    assert len(platform.received) == 1


def test_a_connection_closed_before_the_answer_is_named_so(http: httpx.Client, platform: Platform) -> None:
    platform.answer = written()
    assert posted(http, platform) == NoAnswer("the connection was cut before the answer")


def test_a_platform_that_hangs_is_left_in_time(http: httpx.Client, platform: Platform) -> None:
    platform.answer = platform.hang
    assert posted(http, platform) == NoAnswer("no answer in time")
    assert len(platform.received) == 1


def trickling(begin: bytes, more: bytes) -> Answer:
    """Something of an answer again and again, for as long as somebody listens."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(begin)
        for _ in range(1000):
            handler.wfile.write(more)
            time.sleep(0.1)
        pytest.fail("it was listened to")

    return answer


OK = b"HTTP/1.1 200 OK\r\n"
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of deflate: five bytes that unfold to nothing


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(trickling(OK + b"content-length: 1000\r\n\r\n", b" "), id="its body"),
        pytest.param(trickling(OK + b"x-more: ", b"x"), id="its head"),
        pytest.param(trickling(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), id="what goes before it"),
        pytest.param(trickling(OK + b"transfer-encoding: chunked\r\n\r\n0\r\nx: ", b"x"), id="what follows it"),
        pytest.param(
            trickling(
                OK + b"content-encoding: gzip\r\ncontent-length: 100000\r\n\r\n" + gzip.compress(b"")[:10], EMPTY_BLOCK
            ),
            id="a body that unfolds to nothing",
        ),
    ],
)
def test_an_answer_that_trickles_in_is_left_in_time(http: httpx.Client, platform: Platform, answer: Answer) -> None:
    platform.answer = answer
    assert posted(http, platform) == NoAnswer("no answer in time")
    assert len(platform.received) == 1


def test_what_has_arrived_while_this_process_stood_still_is_an_answer(platform: Platform) -> None:
    platform.answer = answered(200, b'{"ok":true}')
    stream = _Backend(_Gate()).connect_tcp("127.0.0.1", int(platform.url.rpartition(":")[2]), 5)
    assert isinstance(stream, _Gathering)
    stream.write(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 5)
    said = stream.read(10, 5)
    wait_until(lambda: stream.get_extra_info("is_readable"), "the rest")
    stream._began -= 3600
    while not said.endswith(b'{"ok":true}'):
        said += stream.read(10, 5)
    stream.write(b"POST", 5)
    stream._began -= 3600
    with contextlib.suppress(httpcore.ReadError):
        while stream.read(10, 5):
            pass
    stream.close()


def test_what_comes_without_end_is_not_read_for_ever_once_its_time_is_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = _Backend(_Gate()).connect_tcp("127.0.0.1", server.getsockname()[1], 5)
        assert isinstance(stream, _Gathering)
        with server.accept()[0] as platform:
            stream.write(b"POST", 5)
            stream._began -= 3600
            for _ in range(MOST_LATE_READS):
                platform.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
                wait_until(lambda: stream.get_extra_info("is_readable"), "it to come")
                assert stream.read(65536, 5)
            platform.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            with pytest.raises(httpcore.ReadTimeout):
                stream.read(65536, 5)
        stream.close()


def test_an_answer_to_nobody_is_not_taken_for_that_of_the_next_request(http: httpx.Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/events"
        received: list[bytes] = []

        def serve() -> None:
            while len(received) < 2:
                with server.accept()[0] as client:
                    while more := client.recv(65536):
                        received.append(more)
                        client.sendall((OK + b"content-length: 2\r\n\r\n{}") * 2)

        thread = threading.Thread(target=serve)
        thread.start()
        assert isinstance(send(http, "meta", PlatformRequest(url, {"n": 1})), PlatformReply)
        assert isinstance(send(http, "meta", PlatformRequest(url, {"n": 2})), NotSent)
        assert len(received) == 1
        assert isinstance(send(http, "meta", PlatformRequest(url, {"n": 3})), PlatformReply)
        http.close()
        thread.join()
    assert [b'"n":3' in one for one in received] == [False, True]


def test_a_proxy_that_makes_no_connection_means_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        runtime = Runtime(load_settings({}), "", Sealer(["k" * 32]), http_timeout=httpx.Timeout(5))

        def refuse() -> None:
            with proxy.accept()[0] as client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        found = send(runtime.http(), "meta", PlatformRequest("https://platform.invalid/v1/events", BODY))
        thread.join()
        runtime.close()
    assert found == NotSent("the proxy made no connection")


def test_of_a_host_with_many_addresses_the_one_that_is_there_is_found_in_time(
    http: httpx.Client, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def several(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        if host != "platform.example":
            return real(host, port, *args, **more)
        dead = free_port()
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, dead)) for address in ("127.0.0.2", "127.0.0.3")
        ] + [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    url = platform.url.replace("127.0.0.1", "platform.example")
    assert isinstance(send(http, "meta", PlatformRequest(url, BODY)), PlatformReply)


def test_a_platform_that_hangs_within_its_answer_is_left_in_time(http: httpx.Client, platform: Platform) -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{"ok":')
        platform.hang(handler)

    platform.answer = half
    assert posted(http, platform) == NoAnswer("no answer in time")


def test_the_next_request_after_a_failure_is_a_fresh_one(http: httpx.Client, platform: Platform) -> None:
    platform.answer = written(b'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{"ok":')
    posted(http, platform)
    platform.answer = answered(200, b"{}")
    assert isinstance(posted(http, platform), PlatformReply)


ALL_AUTHS = [
    pytest.param(BearerToken(TOKEN), id="bearer token"),
    pytest.param(HeaderToken("Access-Token", TOKEN), id="header token"),
    pytest.param(QueryToken("api_secret", TOKEN), id="query token"),
    pytest.param(BodyToken("access_token", TOKEN), id="body token"),
    pytest.param(OAuth1("key", TOKEN, "token", TOKEN), id="oauth 1"),
]


FAILURES = ["refused", "cut", "half", "hangs", "garbage", "too long"]


@pytest.mark.parametrize("auth", ALL_AUTHS)
def test_a_cut_answer_is_told_without_address_or_token(
    http: httpx.Client, platform: Platform, caplog: pytest.LogCaptureFixture, auth: Auth
) -> None:
    caplog.set_level(logging.DEBUG, "tracklayer")
    platform.answer = written()
    reply = posted(http, platform, auth, "/very/private/path")
    assert isinstance(reply, NoAnswer)
    for text in (repr(reply), reply.reason, caplog.text):
        assert not [part for part in (TOKEN, "private", "127.0.0.1", "http://") if part in text]


@pytest.mark.parametrize("failure", FAILURES)
def test_whatever_went_wrong_is_told_without_address_or_token(
    http: httpx.Client, platform: Platform, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    caplog.set_level(logging.DEBUG, "tracklayer")
    answers: dict[str, Answer] = {
        "cut": written(),
        "half": written(b'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{"ok":'),
        "hangs": platform.hang,
        "garbage": written(b"\x00\x01\x02\r\n\r\n"),
        "too long": answered(200, b"x" * (MAX_REPLY + 1)),
    }
    platform.answer = answers.get(failure, platform.answer)
    url = f"http://127.0.0.1:{free_port()}" if failure == "refused" else platform.url
    request = PlatformRequest(f"{url}/very/private/path", {"data": "private"}, QueryToken("api_secret", TOKEN))
    reply = send(http, "meta", request)
    assert isinstance(reply, NotSent | NoAnswer)
    assert isinstance(reply, NotSent) is (failure == "refused")
    for text in (repr(reply), reply.reason, caplog.text):
        assert not [part for part in (TOKEN, "private", "127.0.0.1", "http://") if part in text]


@pytest.mark.parametrize("auth", ALL_AUTHS)
def test_a_request_shows_neither_its_token_nor_its_body(auth: Auth) -> None:
    request = PlatformRequest("https://platform.example/v1", {"data": "private"}, auth)
    assert not [part for part in (TOKEN, "private") if part in repr(request) or part in str(request)]


# The sandbox -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform_key", "url", "target"),
    [
        pytest.param("meta", "https://graph.facebook.com/v26.0/12/events", "/meta/v26.0/12/events", id="a path"),
        pytest.param("tiktok", "https://host.example:8443/a/b/", "/tiktok/a/b/", id="a port and a last slash"),
        pytest.param("ga4", "https://host.example/mp/collect?x=1&y=a%20b", "/ga4/mp/collect?x=1&y=a%20b", id="a query"),
        pytest.param("x_ads", "https://host.example/a%2Fb", "/x_ads/a%2Fb", id="an escaped slash"),
        pytest.param("reddit", "https://host.example", "/reddit", id="no path"),
    ],
)
def test_the_sandbox_gets_the_path_of_the_real_api_below_the_platforms_key(
    http: httpx.Client, platform: Platform, platform_key: str, url: str, target: str
) -> None:
    reply = send(http, platform_key, PlatformRequest(url, BODY, BearerToken(TOKEN)), platform.url)
    assert isinstance(reply, PlatformReply)
    (received,) = platform.received
    assert received.target == target
    assert received.headers["host"] == urlsplit(platform.url).netloc
    assert received.headers["authorization"] == f"Bearer {TOKEN}"


def test_the_sandbox_may_lie_below_a_path(http: httpx.Client, platform: Platform) -> None:
    request = PlatformRequest("https://graph.facebook.com/v26.0/12/events", BODY)
    send(http, "meta", request, f"{platform.url}/sandbox")
    assert [received.target for received in platform.received] == ["/sandbox/meta/v26.0/12/events"]


def test_a_query_token_and_the_urls_own_query_both_reach_the_sandbox(http: httpx.Client, platform: Platform) -> None:
    request = PlatformRequest("https://host.example/mp/collect?id=G-1", BODY, QueryToken("api_secret", TOKEN))
    send(http, "ga4", request, platform.url)
    (received,) = platform.received
    assert (urlsplit(received.target).path, received.query) == (
        "/ga4/mp/collect",
        [("id", "G-1"), ("api_secret", TOKEN)],
    )


def test_a_token_endpoint_is_the_sandboxs_too(http: httpx.Client, platform: Platform) -> None:
    platform.answer = answered(200, orjson.dumps({"access_token": TOKEN, "expires_in": 3600}))
    auth = RefreshedToken("https://oauth2.googleapis.com/token", {"refresh_token": SECRET})
    send(http, "google_ads", PlatformRequest("https://host.example/v1", BODY, auth), platform.url)
    assert [received.target for received in platform.received] == ["/google_ads/token", "/google_ads/v1"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(answered(400, b'{"error":"invalid_grant"}'), TokenRefused("invalid_grant", 400), id="refused"),
        pytest.param(
            answered(503, b""), NotSent("no access token: the token endpoint answered 503"), id="out of order"
        ),
        pytest.param(written(), NotSent("no access token: the connection was cut before the answer"), id="cut"),
    ],
)
def test_without_an_access_token_nothing_is_sent(
    http: httpx.Client, platform: Platform, answer: Answer, expected: Reply
) -> None:
    platform.answer = answer
    auth = RefreshedToken(f"{platform.url}/token", {"refresh_token": SECRET})
    assert posted(http, platform, auth) == expected
    assert [received.target for received in platform.received] == ["/token"]
