"""Every mistake of a caller has a code of the list, and is worded in the spelling of whoever reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tracklayer
from tracklayer.domain.delivery import DropReason
from tracklayer.domain.problem import CODES, Choice, Name, Problem, worded
from tracklayer.domain.text import is_storable, is_storable_json, wrong_with_name

ROOT = Path(tracklayer.__file__).parent
# Where a code is passed on, or taken from a list of its own: of ``Problem`` itself, the reader's, and of a refused test.
PASSED_ON = {"domain/problem.py", "domain/event_fields.py", "domain/read_event.py", "services/trial.py"}


def codes_in(tree: ast.AST) -> Iterator[ast.expr]:
    """The second argument of everything that makes a Problem."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > 1:
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            owner = getattr(getattr(node.func, "value", None), "id", None)
            if name == "Problem" or (owner, name) == ("Problem", "said") or name == "problem":
                yield node.args[1]


def test_no_problem_is_made_with_a_code_that_is_not_in_the_list() -> None:
    made: set[str] = set()
    for path in ROOT.rglob("*.py"):
        where = str(path.relative_to(ROOT))
        if where.startswith("sandbox/"):  # the platforms' own problems
            continue
        for code in codes_in(ast.parse(path.read_text("utf-8"))):
            if isinstance(code, ast.Constant):
                assert code.value in CODES, (where, code.lineno)
                made.add(str(code.value))
            else:
                assert where in PASSED_ON, (where, code.lineno)
    reasons = {reason.name for reason in DropReason}
    assert CODES.keys() - made - reasons <= {"IDENTIFIER_MALFORMED", "EMPTY_FILTER"}


def test_whatever_a_mapper_refuses_for_has_a_code() -> None:
    made_by_us = {"RETRIES_EXHAUSTED", "WINDOW_EXPIRED", "DESTINATION_REMOVED", "ERASED", "SUPPRESSED"}
    assert {reason.name for reason in DropReason} - made_by_us <= CODES.keys()


def test_a_sentence_is_spelled_by_whoever_words_it() -> None:
    path = ("custom_data", "value")
    problem = Problem.said(path, "INVALID_VALUE", Name(path), " must be ", Choice("website"), " {sic}.")
    assert problem.message == "custom_data.value must be website {sic}."
    assert worded(problem.parts, "/".join, str.upper) == "custom_data/value must be WEBSITE {sic}."
    assert problem == Problem(path, "INVALID_VALUE", problem.message)
    under = problem.under("input")
    assert (under.field, worded(under.parts, "/".join, str.upper)) == (
        ("input", *path),
        worded(problem.parts, "/".join, str.upper),
    )


@pytest.mark.parametrize("text", ["Café", "متجر", "店", "a\u200fb", "x" * 200, " padded ", "😀"])
def test_a_name_in_any_script_is_a_name(text: str) -> None:
    assert wrong_with_name(text, 200) is None


@pytest.mark.parametrize(
    "text", ["", " \t", "\x00", "a\nb", "\u202eb", "a\u2066", "\x1b[31m", "\ud83d", "x" * 201, "\x85"]
)
def test_what_would_change_the_text_around_it_is_no_name(text: str) -> None:
    assert wrong_with_name(text, 200)


@pytest.mark.parametrize("value", [{"a": ["\x00"]}, {"\ud83d": 1}, [{"b": ({"c\x00": 1},)}]])
def test_a_row_holds_json_but_for_texts_that_it_does_not(value: Any) -> None:
    assert not is_storable_json(value)
    assert is_storable_json({"a": [1, None, {"b": "\n"}], "c": True})


@pytest.mark.parametrize(("text", "fits"), [("a\u202e\n", True), ("\x00", False), ("a\udfff", False), ("", True)])
def test_a_row_holds_all_but_nul_and_half_characters(text: str, fits: bool) -> None:
    assert is_storable(text) is fits
