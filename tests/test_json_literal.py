"""What is sent as a literal arrives as it was, whatever stands in it and however the connection writes text."""

from __future__ import annotations

from typing import Any

import orjson
import psycopg2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.drawing import drawn
from tracklayer.db.json_literal import JsonLiteral, TextsLiteral

AWKWARD = [
    "$json$",
    "$json$; DROP TABLE events; --",
    "$",
    "$json",
    "json$",
    "$$",
    "it's",
    "back\\slash",
    'a "quote"',
    "100 %s",
    "line\nand\ttab",
    "Ünïcödé 漢字 🛒",
]


def arrived(url: str, value: Any, encoding: str = "UTF8") -> Any:
    connection = psycopg2.connect(url, client_encoding=encoding)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT %s::json::text", (JsonLiteral(value),))
            found = cursor.fetchone()
            assert found is not None
            return orjson.loads(found[0])
    finally:
        connection.close()


@pytest.mark.parametrize("text", AWKWARD)
def test_text_arrives_as_it_was(postgres: str, text: str) -> None:
    value = [{"a": text, text: [1, None, True, 2.5]}]
    assert arrived(postgres, value) == value


@pytest.mark.parametrize("text", ["it's", "$json$", "Zürich"])
def test_a_connection_in_another_encoding_is_sent_its_own(postgres: str, text: str) -> None:
    assert arrived(postgres, {"a": text}, "LATIN1") == {"a": text}


@drawn(200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_arrives_as_it_was(postgres: str, text: str) -> None:
    assert arrived(postgres, [text]) == [text]


def test_what_json_cannot_hold_is_refused_before_it_is_sent() -> None:
    with pytest.raises(TypeError):
        JsonLiteral([2**64])


def texts_arrived(url: str, texts: list[str], encoding: str = "UTF8") -> tuple[list[str], bool]:
    connection = psycopg2.connect(url, client_encoding=encoding)
    try:
        with connection, connection.cursor() as cursor:
            literal = TextsLiteral(texts)
            cursor.execute("SELECT %s::text[], 'x' = ANY(%s)", (literal, literal))
            found = cursor.fetchone()
            assert found is not None
            return found
    finally:
        connection.close()


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["x"],
        ["NULL", "null", "{", "}", "{x}", ",", "a,b", " x "],
        ["it's", "x"],
        ['a "quote"'],
        ["back\\slash", "x"],
    ],
    ids=repr,
)
def test_texts_arrive_as_they_were(postgres: str, texts: list[str], encoding: str) -> None:
    assert texts_arrived(postgres, texts, encoding) == (texts, "x" in texts)


def test_awkward_texts_arrive_as_they_were_alone_and_together(postgres: str) -> None:
    for texts in (AWKWARD, *([text] for text in AWKWARD)):
        assert texts_arrived(postgres, texts) == (texts, False)


@drawn(200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_any_texts_arrive_as_they_were(postgres: str, texts: list[str]) -> None:
    assert texts_arrived(postgres, texts) == (texts, "x" in texts)
