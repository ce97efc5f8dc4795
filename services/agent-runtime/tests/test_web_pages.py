"""Pages come from strangers: they are read as text, in no more time than their length asks for."""

import time

import pytest

from agent_runtime.tools.clients.web import MAX_BYTES, decoded, page_text

MAX_S = 5.0
"""Far above what a page takes, and far below what one takes that is looked at again and again."""


def test_what_a_page_says_is_left_without_its_markup() -> None:
    page = (
        "<!doctype html><html><head><title>Not said</title><style>p { }</style><script src='x'/></head>"
        "<body><!-- <p>hidden</p> --><h1>Fish &amp; chips</h1><p>Cheap.<br>Good."
        "<SCRIPT>evil('<p>')</SCRIPT >Near.</p></body></html>"
    )
    assert page_text(page) == "Fish & chips\nCheap.\nGood. Near."
    assert page_text("said <script>never closed <p>so not said") == "said"


@pytest.mark.parametrize(
    "piece", ["<", "<script ", "<script></script", "<title>", "<!-- ", "<br ", "</p ", "&a;", "\n\v"]
)
def test_no_page_takes_long(piece: str) -> None:
    page = piece * (MAX_BYTES // len(piece))
    began = time.monotonic()
    page_text(page)
    assert time.monotonic() - began < MAX_S


def test_text_is_read_in_the_encoding_that_it_names_and_in_utf_8_where_that_is_none_of_texts() -> None:
    assert decoded("Grüße".encode("latin-1"), "ISO-8859-1") == "Grüße"
    for charset in (None, "utf-8", "bz2", "rot13", "undefined", "idna", "no such", "punycode", "a\x00b"):
        assert decoded("Grüße".encode(), charset) == "Grüße", charset


def test_no_encoding_takes_long() -> None:
    began = time.monotonic()
    decoded(b"a-" + b"99zzab" * (MAX_BYTES // 6), "Punycode")
    assert time.monotonic() - began < MAX_S
