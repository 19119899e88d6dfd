"""Access tokens are fetched once, kept, renewed before they end, and asked for again when they are refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import oauthlib.oauth1
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from tests.conftest import NOW
from tracklayer.clock import FrozenClock
from tracklayer.domain.delivery import (
    CredentialsRefused,
    NotSent,
    OAuth1,
    PlatformReply,
    PlatformRequest,
    RefreshedToken,
    ServiceAccount,
    TokenRefused,
)
from tracklayer.mappers import mapper_for
from tracklayer.platform_client import PlatformClient
from tracklayer.runtime import trusted_certificates
from tracklayer.services.platform_requests import read_verdict
from tracklayer.services.transport import send
from tracklayer.tokens import LARGEST, AccessToken, TokenCache

AUTH = RefreshedToken(
    "https://oauth2.example.com/token",
    {"grant_type": "refresh_token", "client_id": "id", "client_secret": "s3cret", "refresh_token": "refresh-me"},
)


class Platform:
    """A platform with a token endpoint: tokens t1, t2 ... of an hour; ``refused`` ones are answered with 401."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.calls: list[tuple[str, str]] = []
        self.refused: set[str] = set()
        self.token_answer: tuple[int, dict[str, Any]] | None = None
        self._lock = threading.Lock()
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = platform.answer(self.path, self.headers.get("authorization", ""), body)
                content = orjson.dumps(answer)
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        with self._lock:
            if path.endswith("/token"):
                self.forms.append(parse_qs(body.decode()))
                if self.token_answer is not None:
                    return self.token_answer
                return 200, {"access_token": f"t{len(self.forms)}", "expires_in": 3600}
            self.calls.append((path, authorization))
            return (401 if authorization.removeprefix("Bearer ") in self.refused else 200), {}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    yield made
    made.stop()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


def request(auth: Any = AUTH) -> PlatformRequest:
    return PlatformRequest("https://api.example.com/v1/events", {"data": []}, auth)


def test_a_token_is_fetched_once_and_kept(platform: Platform, http: httpx.Client) -> None:
    tokens = TokenCache(FrozenClock(NOW))
    for _ in range(3):
        reply = send(http, "acme", request(), platform.url, tokens)
        assert isinstance(reply, PlatformReply)
    assert platform.forms == [{name: [value] for name, value in AUTH.form.items()}]
    assert platform.calls == [("/acme/v1/events", "Bearer t1")] * 3


def test_many_threads_fetch_one_token(platform: Platform) -> None:
    tokens = TokenCache(FrozenClock(NOW))

    def call(_: int) -> None:
        with httpx.Client() as client:
            send(client, "acme", request(), platform.url, tokens)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(24)))
    assert len(platform.forms) == 1
    assert len(platform.calls) == 24


def test_a_token_is_renewed_before_it_ends(platform: Platform, http: httpx.Client) -> None:
    clock = FrozenClock(NOW)
    tokens = TokenCache(clock)
    send(http, "acme", request(), platform.url, tokens)
    clock.move(timedelta(minutes=57, seconds=59))
    send(http, "acme", request(), platform.url, tokens)
    assert len(platform.forms) == 1
    clock.move(timedelta(seconds=1))
    send(http, "acme", request(), platform.url, tokens)
    assert [call[1] for call in platform.calls] == ["Bearer t1", "Bearer t1", "Bearer t2"]


def test_a_refused_token_is_renewed_once_and_the_request_repeated(platform: Platform, http: httpx.Client) -> None:
    tokens = TokenCache(FrozenClock(NOW))
    platform.refused = {"t1"}
    reply = send(http, "acme", request(), platform.url, tokens)
    assert isinstance(reply, PlatformReply)
    assert reply.status == 200
    assert [call[1] for call in platform.calls] == ["Bearer t1", "Bearer t2"]
    platform.refused = {"t2", "t3"}
    again = send(http, "acme", request(), platform.url, tokens)
    assert isinstance(again, PlatformReply)
    assert again.status == 401
    assert len(platform.calls) == 4


def test_refused_credentials_of_a_token_endpoint_hold_the_destination(platform: Platform, http: httpx.Client) -> None:
    platform.token_answer = (400, {"error": "invalid_grant", "error_description": "refresh-me was revoked"})
    reply = send(http, "acme", request(), platform.url, TokenCache(FrozenClock(NOW)))
    assert reply == TokenRefused("invalid_grant", 400)
    outcomes = read_verdict(mapper_for("meta"), reply, 2)
    assert not isinstance(outcomes, tuple) or outcomes
    assert [type(outcome) for outcome in outcomes] == [CredentialsRefused] * 2  # type: ignore[union-attr]
    assert platform.calls == []


@pytest.mark.parametrize("error", ["", "a\x00b", "refresh-me is no token", "x" * 65, None, 7, ["invalid_grant"], {}])
def test_of_a_refusal_only_a_word_is_kept(platform: Platform, http: httpx.Client, error: Any) -> None:
    platform.token_answer = (401, {"error": error})
    reply = send(http, "acme", request(), platform.url, TokenCache(FrozenClock(NOW)))
    assert reply == TokenRefused("401", 401)


@pytest.mark.parametrize("status", [500, 503, 404])
def test_a_token_endpoint_out_of_order_means_that_nothing_was_sent(
    platform: Platform, http: httpx.Client, status: int
) -> None:
    platform.token_answer = (status, {})
    reply = send(http, "acme", request(), platform.url, TokenCache(FrozenClock(NOW)))
    assert reply == NotSent(f"no access token: the token endpoint answered {status}")
    assert platform.calls == []


def test_a_service_account_signs_for_its_token(platform: Platform, http: httpx.Client) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {
        "client_email": "robot@project.example",
        "private_key": pem,
        "private_key_id": "k1",
        "token_uri": "https://oauth2.example.com/token",
    }
    send(http, "acme", request(ServiceAccount(account, "the-scope")), platform.url, TokenCache(FrozenClock(NOW)))
    (form,) = platform.forms
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(
        form["assertion"][0],
        key.public_key(),
        ["RS256"],
        {"verify_exp": False, "verify_iat": False},
        audience="https://oauth2.example.com/token",
    )
    assert (claims["iss"], claims["scope"]) == ("robot@project.example", "the-scope")
    # By the clock that every process agrees on, whatever this machine's says.
    assert (claims["iat"], claims["exp"]) == (NOW.timestamp(), NOW.timestamp() + 3600)
    assert platform.calls == [("/acme/v1/events", "Bearer t1")]


def test_a_broken_service_account_key_is_refused_before_anything_is_sent(
    platform: Platform, http: httpx.Client
) -> None:
    auth = ServiceAccount({"client_email": "robot@project.example", "private_key": "no key"}, "the-scope")
    reply = send(http, "acme", request(auth), platform.url, TokenCache(FrozenClock(NOW)))
    assert reply == TokenRefused("invalid_key", None)
    assert platform.forms == []


def test_oauth_1_signs_for_the_platforms_own_address(platform: Platform, http: httpx.Client) -> None:
    keys = OAuth1("consumer", "consumer-secret", "token", "token-secret")
    send(http, "acme", request(keys), platform.url, TokenCache(FrozenClock(NOW)))
    ((path, authorization),) = platform.calls
    assert path == "/acme/v1/events"
    signed = dict(parse_authorization_header(authorization))
    assert int(signed["oauth_timestamp"]) == NOW.timestamp()
    again = oauthlib.oauth1.Client(
        "consumer",
        "consumer-secret",
        "token",
        "token-secret",
        nonce=signed["oauth_nonce"],
        timestamp=signed["oauth_timestamp"],
    )
    _, headers, _ = again.sign("https://api.example.com/v1/events", "POST")
    assert headers["Authorization"] == authorization
    assert "secret" not in authorization


# What is kept, and who waits ------------------------------------------------------------------------------------------


def test_of_a_token_that_ran_out_nothing_is_kept() -> None:
    clock = FrozenClock(NOW)
    tokens = TokenCache(clock)
    for number in range(500):
        tokens.get(f"key {number}", lambda: AccessToken("t", timedelta(hours=1)))
    assert tokens.size() == 500
    clock.move(timedelta(hours=1))
    tokens.get("another key", lambda: AccessToken("t", timedelta(hours=1)))
    assert tokens.size() == 1


def test_of_a_fetch_that_failed_or_a_token_that_was_refused_nothing_is_kept() -> None:
    tokens = TokenCache(FrozenClock(NOW))

    def fails() -> AccessToken:
        raise ConnectionError

    for number in range(100):
        with pytest.raises(ConnectionError):
            tokens.get(f"key {number}", fails)
    tokens.get("refused", lambda: AccessToken("t", timedelta(hours=1)))
    assert tokens.forget("refused", "t")
    assert tokens.size() == 0


def test_the_oldest_go_where_there_are_too_many() -> None:
    tokens = TokenCache(FrozenClock(NOW))
    for number in range(LARGEST + 5):
        tokens.get(f"key {number}", lambda: AccessToken("t", timedelta(hours=1)))
    assert tokens.size() == LARGEST
    assert tokens.get(f"key {LARGEST}", lambda: AccessToken("anew", timedelta(hours=1))) == "t"
    assert tokens.get("key 0", lambda: AccessToken("anew", timedelta(hours=1))) == "anew"


def test_a_fetch_that_hangs_keeps_only_its_own_key_waiting() -> None:
    tokens = TokenCache(FrozenClock(NOW))
    fetching, may_end = threading.Event(), threading.Event()

    def hangs() -> AccessToken:
        fetching.set()
        may_end.wait()
        raise ConnectionError("gave up")

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(tokens.get, "hangs", hangs)]
        assert fetching.wait(20)
        waiting += [pool.submit(tokens.get, "hangs", hangs) for _ in range(7)]
        assert tokens.get("other", lambda: AccessToken("t", timedelta(hours=1))) == "t"
        assert not tokens.forget("hangs", "t")
        may_end.set()
        assert [type(future.exception()) for future in waiting] == [ConnectionError] * 8
    assert tokens.size() == 1


def test_whoever_waits_fetches_for_himself_where_the_one_who_fetched_was_stopped() -> None:
    tokens = TokenCache(FrozenClock(NOW))
    fetching, may_end = threading.Event(), threading.Event()

    class Stopped(BaseException):
        """As a worker's thread is stopped."""

    def is_stopped() -> AccessToken:
        fetching.set()
        may_end.wait()
        raise Stopped

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(tokens.get, "key", is_stopped)
        assert fetching.wait(20)
        second = pool.submit(tokens.get, "key", lambda: AccessToken("mine", timedelta(hours=1)))
        may_end.set()
        assert second.result() == "mine"
        assert isinstance(first.exception(), Stopped)


@pytest.mark.parametrize("lifetime", [1e300, 10**18, -5, True, "3600", None, [3600], float("1e-9")])
def test_whatever_a_token_endpoint_says_of_a_lifetime_the_token_is_used(
    platform: Platform, http: httpx.Client, lifetime: Any
) -> None:
    platform.token_answer = (200, {"access_token": "t", "expires_in": lifetime})
    reply = send(http, "acme", request(), platform.url, TokenCache(FrozenClock(NOW)))
    assert isinstance(reply, PlatformReply)
    assert platform.calls == [("/acme/v1/events", "Bearer t")]


@pytest.fixture
def client() -> Iterator[PlatformClient]:
    with PlatformClient(trusted_certificates(), httpx.Timeout(20)) as found:
        yield found


def test_what_may_not_leave_any_more_behind_its_token_stays_here(platform: Platform, client: PlatformClient) -> None:
    tokens = TokenCache(FrozenClock(NOW))
    reply = send(client, "acme", request(), platform.url, tokens, lambda: not platform.forms)
    assert isinstance(reply, NotSent)
    assert (len(platform.forms), platform.calls) == (1, [])
    assert isinstance(send(client, "acme", request(), platform.url, tokens, lambda: True), PlatformReply)
    assert (len(platform.forms), len(platform.calls)) == (1, 1)  # with the same token


def test_what_may_not_leave_once_more_behind_a_new_token_counts_as_not_sent(
    platform: Platform, client: PlatformClient
) -> None:
    """The token was refused: that another one was got for nothing says nothing of the credentials."""
    platform.refused = {"t1"}
    tokens = TokenCache(FrozenClock(NOW))
    reply = send(client, "acme", request(), platform.url, tokens, lambda: len(platform.forms) < 2)
    assert isinstance(reply, NotSent)
    assert platform.calls == [("/acme/v1/events", "Bearer t1")]
