"""What is sealed opens with its key and in its place, and nowhere else."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer.sealing import Sealer, SealError

OLD = "an old secret key of the operator's, forty"
NEW = "a new secret key of the operator's, forty."
PLAIN = b'{"first_name":"Jane"}'


@drawn(50)
@given(st.binary(max_size=2000), st.text(st.characters(codec="utf-8"), max_size=50))
def test_what_is_sealed_opens_again(plain: bytes, context: str) -> None:
    sealer = Sealer([NEW])
    assert sealer.open(sealer.seal(plain, context), context) == plain


def test_a_sealed_value_shows_nothing_of_what_is_in_it() -> None:
    sealed = Sealer([NEW]).seal(PLAIN, "event/1/a")
    assert b"Jane" not in sealed
    assert NEW.encode() not in sealed
    assert len(sealed) == 1 + 4 + 12 + len(PLAIN) + 16


def test_the_same_value_is_sealed_differently_every_time() -> None:
    sealer = Sealer([NEW])
    assert len({sealer.seal(PLAIN, "event/1/a") for _ in range(100)}) == 100


def test_no_nonce_comes_twice_in_threads_or_in_a_child_that_was_forked() -> None:
    sealer, pipe = Sealer([NEW]), os.pipe()
    nonces = [sealer.seal(PLAIN, "x")[5:17]]
    child = os.fork()
    if child == 0:
        os.write(pipe[1], b"".join(sealer.seal(PLAIN, "x")[5:17] for _ in range(100)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(pipe[0], 1200)
    nonces += [theirs[at : at + 12] for at in range(0, len(theirs), 12)]
    with ThreadPoolExecutor(4) as threads:
        nonces += threads.map(lambda _: sealer.seal(PLAIN, "x")[5:17], range(2000))
    assert len(nonces) == len(set(nonces)) == 2101


def test_a_sealed_value_opens_from_a_memoryview_as_a_database_gives_it() -> None:
    sealer = Sealer([NEW])
    assert sealer.open(memoryview(sealer.seal(PLAIN, "x")), "x") == PLAIN


def test_another_process_with_the_same_key_opens_it() -> None:
    assert Sealer([NEW]).open(Sealer([NEW]).seal(PLAIN, "x"), "x") == PLAIN


def test_keys_rotate() -> None:
    before = Sealer([OLD]).seal(PLAIN, "x")
    rotating = Sealer([NEW, OLD])
    assert rotating.open(before, "x") == PLAIN
    after = rotating.seal(PLAIN, "x")
    assert Sealer([NEW]).open(after, "x") == PLAIN  # the first key seals: the old one may go
    with pytest.raises(SealError):
        Sealer([OLD]).open(after, "x")


def test_a_process_that_has_the_keys_the_other_way_round_opens_both() -> None:
    one, other = Sealer([NEW, OLD]), Sealer([OLD, NEW])
    assert other.open(one.seal(PLAIN, "x"), "x") == PLAIN
    assert one.open(other.seal(PLAIN, "x"), "x") == PLAIN


def test_a_key_that_was_taken_away_is_named_as_the_reason() -> None:
    with pytest.raises(SealError, match="sealed with a key that is not in TRACKLAYER_SECRET_KEY"):
        Sealer([NEW]).open(Sealer([OLD]).seal(PLAIN, "x"), "x")


@pytest.mark.parametrize("context", ["event/1/b", "event/2/a", "destination/1/a", "", "event/1/a "])
def test_a_sealed_value_does_not_open_in_another_place(context: str) -> None:
    sealer = Sealer([NEW])
    with pytest.raises(SealError, match="it was changed or moved"):
        sealer.open(sealer.seal(PLAIN, "event/1/a"), context)


SEALED_LENGTH = 1 + 4 + 12 + len(PLAIN) + 16


@pytest.mark.parametrize("position", range(SEALED_LENGTH))
def test_a_value_with_one_bit_changed_does_not_open(position: int) -> None:
    sealer = Sealer([NEW])
    sealed = bytearray(sealer.seal(PLAIN, "x"))
    sealed[position] ^= 1
    with pytest.raises(SealError):
        sealer.open(bytes(sealed), "x")


@pytest.mark.parametrize("part", ["version", "key", "nonce", "ciphertext", "tag"])
def test_a_value_that_was_cut_short_does_not_open(part: str) -> None:
    """Cut anywhere within that part of it."""
    sealer = Sealer([NEW])
    sealed = sealer.seal(PLAIN, "x")
    ends = {"version": (0, 1), "key": (1, 5), "nonce": (5, 17), "ciphertext": (17, 17 + len(PLAIN))}
    for length in range(*ends.get(part, (17 + len(PLAIN), SEALED_LENGTH))):
        with pytest.raises(SealError):
            sealer.open(sealed[:length], "x")


def test_a_value_that_was_made_longer_does_not_open() -> None:
    sealer = Sealer([NEW])
    with pytest.raises(SealError):
        sealer.open(sealer.seal(PLAIN, "x") + b"\x00", "x")


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"not sealed at all", b"\x00" * 100])
def test_garbage_does_not_open(garbage: bytes) -> None:
    with pytest.raises(SealError):
        Sealer([NEW]).open(garbage, "x")


def test_an_error_says_nothing_of_the_value_or_the_key() -> None:
    sealed = Sealer([OLD]).seal(PLAIN, "event/1/a")
    for sealer, context in ((Sealer([NEW]), "event/1/a"), (Sealer([OLD]), "event/1/b")):
        with pytest.raises(SealError) as raised:
            sealer.open(sealed, context)
        said = f"{raised.value} {raised.value!r}"
        assert not [secret for secret in (OLD, NEW, "Jane", "event/1") if secret in said]
    assert not [secret for secret in (OLD, NEW) if secret in repr(vars(Sealer([NEW, OLD])))]
