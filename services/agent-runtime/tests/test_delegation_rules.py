"""Complexity, rules and plain code: pure, and therefore tried with anything."""

import ast
import json
import time
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings, strategies as st

from agent_runtime.delegation.domain.booster import TRANSFORMS, NotForBoosterError, boost
from agent_runtime.delegation.domain.complexity import KEYWORDS, SMALL, complexity, tier
from agent_runtime.delegation.domain.rules import Rule, check, fitting, matches
from agent_runtime.delegation.errors import InvalidRuleError

NAMES = st.text(alphabet="abc-*?[]", max_size=8)
GLOBS = st.text(alphabet="abc-*?", max_size=6)


# complexity


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("hi", 0, SMALL),
        ("list the files", 0, SMALL),
        ("Please review and analyze this, then investigate the failure.", 0.3, 0.7),
        (" ".join(KEYWORDS) + "?" * 3 + " " * 300, 0.8, 1),
    ],
)
def test_short_texts_are_simple_and_texts_that_ask_for_much_are_not(text: str, least: float, most: float) -> None:
    assert least <= complexity(text) <= most
    assert tier(complexity(text)) == (2 if complexity(text) < 0.3 else 3)


@given(st.text(max_size=700), st.text(max_size=100))
def test_complexity_is_between_nothing_and_all_and_grows_with_the_text(text: str, more: str) -> None:
    assert 0 <= complexity(text) <= complexity(text + more) <= 1


@given(st.sets(st.sampled_from(KEYWORDS)), st.integers(0, 6))
def test_complexity_is_its_three_parts(words: set[str], questions: int) -> None:
    text = " ".join(sorted(words)) + "?" * questions
    present = sum(word in text for word in KEYWORDS)
    expected = 0.3 * len(text) / 500 + 0.2 * min(questions / 3, 1) + 0.5 * min(present / 4, 1)
    assert complexity(text) == pytest.approx(min(expected, 1), abs=1e-4)
    assert complexity(text.upper()) == complexity(text)


# patterns


def slow_match(glob: str, name: str) -> bool:
    """Match a glob of `*`, `?` and plain characters by trying everything."""
    if not glob:
        return not name
    if glob[0] == "*":
        return slow_match(glob[1:], name) or (bool(name) and slow_match(glob, name[1:]))
    return bool(name) and glob[0] in {"?", name[0]} and slow_match(glob[1:], name[1:])


@given(st.lists(GLOBS, min_size=1, max_size=3), NAMES)
def test_a_pattern_matches_what_one_of_its_globs_does(globs: list[str], name: str) -> None:
    assert matches(" | ".join(globs), name) == any(slow_match(glob, name) for glob in globs if glob)


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("format-*|lint-*", "format-json", True),
        ("format-*|lint-*", "lint-yaml", True),
        ("format-*|lint-*", "reformat-json", False),
        ("*", "", True),
        ("[ab]-*", "a-1", True),
        ("Search-*", "search-x", False),
        ("re:^search", "search-files", True),
        ("re:files$", "search-files", True),
        ("re:^(list|search)-", "file-search", False),
        ("re:(", "(", False),
        ("|", "", False),
    ],
)
def test_pattern_is_a_choice_of_globs_or_an_expression(
    pattern: str,
    name: str,
    is_match: bool,  # noqa: FBT001
) -> None:
    assert matches(pattern, name) is is_match


@pytest.mark.parametrize(
    "pattern", ["re:^(a+)+$", "re:^(a|a)*$", "re:(.*)*x", "*a*a*a*a*a*a*a*a*a*b", "re:(a{1,30}){1,30}b"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()  # the cores may be others' too
    assert not matches(pattern, "a" * 63 + "!")
    assert time.process_time() - started < 0.2


# rules

RULES = st.builds(
    Rule,
    name=st.text(alphabet="rule", min_size=1, max_size=4),
    pattern=st.lists(GLOBS, min_size=1, max_size=2).map("|".join),
    target=st.just("offline/rules"),
    complexity_threshold=st.floats(0, 1),
    is_enabled=st.booleans(),
    priority=st.integers(0, 3),
)


@given(st.lists(RULES, max_size=6), NAMES, st.floats(0, 1))
def test_the_first_fitting_rule_is_the_enabled_matching_one_of_lowest_priority(
    rules: list[Rule], name: str, score: float
) -> None:
    found = fitting(rules, name, score)
    for rule in rules:
        fits = rule.is_enabled and score <= rule.complexity_threshold and matches(rule.pattern, name)
        assert (rule in found) == fits
        if fits:
            assert (found[0].priority, found[0].name) <= (rule.priority, rule.name)


@pytest.mark.parametrize(
    "changes",
    [
        {"pattern": ""},
        {"pattern": " | "},
        {"pattern": "|".join(["a"] * 33)},
        {"pattern": "re:("},
        {"pattern": "re:(?=a)"},
        {"pattern": r"re:(a)\1"},
        {"pattern": "re:((a{100}){100}){100}"},
        {"name": " a"},
        {"name": "/a"},
        {"name": "a//b"},
        {"name": "a\nb"},
        {"target": " "},
        {"target": "no such thing at all !!"},
        {"target": "/rules"},
        {"target": "offline/rules\n"},
    ],
)
def test_rules_that_could_not_be_used_are_refused(changes: dict[str, str]) -> None:
    good = {"name": "a/b", "pattern": "*", "target": "agent-booster", "complexity_threshold": 1.0}
    check(Rule(**good))
    with pytest.raises(InvalidRuleError):
        check(Rule(**good | changes))


@pytest.mark.parametrize(
    "target", ["agent-booster", "claude-sonnet-4", "offline/rules", "openrouter/meta/llama-3.1:free", "cf/@cf/a_b+c"]
)
def test_targets_are_models_and_plain_code(target: str) -> None:
    check(Rule(name="r", pattern="*", target=target, complexity_threshold=1.0))


# plain code


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("format-json", '{"b":[1,2],"a":1.10}', '{\n  "b": [\n    1,\n    2\n  ],\n  "a": 1.10\n}'),
        ("format-json-sorted", '{"b":1,"a":{}}', '{\n  "a": {},\n  "b": 1\n}'),
        ("minify-json", '{ "a" : 123456789012345678901234567890.10 }', '{"a":123456789012345678901234567890.10}'),
        ("lint-json", '{"a": }', "line 1, column 7: Expecting value"),
        ("lint-json", "[1]", "valid JSON"),
        ("lint-json", "NaN", "NaN is no JSON"),
        ("lint-yaml", "a: [1", "line 1, column 6: expected ',' or ']', but got '<stream end>'"),
        ("lint-yaml", "a: 1", "valid YAML"),
        ("lint-python", "def f(:\n  pass", "line 1, column 7: invalid syntax"),
        ("lint-python", "x = '\\d'", "valid Python"),
        ("convert-csv-to-json", 'a,b\n1,"x,y"\n', '[\n  {\n    "a": "1",\n    "b": "x,y"\n  }\n]'),
        ("convert-json-to-csv", '[{"a":1,"b":"x,y"},{"a":null,"b":true}]', 'a,b\n1,"x,y"\n,true\n'),
        ("format-whitespace", "a  \r\n\r\n\r\n\r\nb\t", "a\n\nb\n"),
        ("format-sorted-lines", "b\na\nb", "a\nb\nb"),
        ("format-unique-lines", "b\na\nb", "b\na"),
        ("format-snake-case", "getHTTPResponse code", "get_http_response_code"),
        ("format-kebab-case", "getHTTPResponse", "get-http-response"),
        ("format-camel-case", "get-http response", "getHttpResponse"),
        ("format-slug", "Größe & Maß, 2. Teil", "groe-ma-2-teil"),
        ("count-text", "ein Wort ü\n", "11 characters, 3 words, 1 lines, 12 bytes"),
        ("decode-base64", "w7w=", "ü"),
        ("encode-url", "a b/ü", "a%20b%2F%C3%BC"),
        ("hash-sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("calculate", "2 * (3 + 4) ** 2 / 8", "12.25"),
        ("calculate", "0.1 + 0.2", "0.3"),
        ("calculate", "-7 // 2 + -7 % 3", "-2"),
        ("convert-units", "26.2 mi to km", "42.1648128 km"),
        ("convert-units", "451 F to C", "232.7777777777777777777777777777778 C"),
        ("convert-units", "3 GiB in MB", "3221.225472 MB"),
        ("date-add", "2026-01-31 + 4 weeks", "2026-02-28"),
        ("date-difference", "2026-01-01 to 2026-03-01", "59 days"),
        ("date-weekday", "2026-02-24", "Tuesday"),
    ],
)
def test_plain_code_does_transforms_exactly(name: str, task: str, expected: str) -> None:
    assert boost(name, task) == expected


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("write-poem", "roses"),
        ("format-json", "{"),
        ("format-json-sorted", "[1e400]"),
        ("format-json-sorted", "[0.12345678901234567890]"),
        ("convert-csv-to-json", "a,a\n1,2"),
        ("convert-csv-to-json", "a,b\n1"),
        ("convert-json-to-csv", '[{"a":[1]}]'),
        ("format-camel-case", "!!!"),
        ("decode-base64", "%%%"),
        ("decode-base64", "/w=="),
        ("calculate", "1/0"),
        ("calculate", "9**9**9"),
        ("calculate", "(9**999)**999"),
        ("calculate", "__import__('os')"),
        ("calculate", "True + 1"),
        ("calculate", "1" + "+1" * 600),
        ("calculate", "two plus two"),
        ("convert-units", "1 kg to km"),
        ("convert-units", "some miles in km"),
        ("date-add", "2026-02-30 + 1 day"),
        ("date-add", "9999-12-31 + 1 day"),
        ("format-upper-case", "x" * 65537),
    ],
)
def test_what_plain_code_cannot_do_right_it_leaves(name: str, task: str) -> None:
    with pytest.raises(NotForBoosterError):
        boost(name, task)


@settings(max_examples=300)
@given(st.sampled_from(sorted(TRANSFORMS)), st.text(max_size=200))
def test_any_text_is_done_or_left_and_always_alike(name: str, task: str) -> None:
    try:
        first = boost(name, task)
    except NotForBoosterError:
        return
    assert boost(name, task) == first


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_keeps_its_meaning(value: object) -> None:
    text = json.dumps(value)
    for name in ("format-json", "minify-json", "format-json-sorted"):
        done = boost(name, text)
        assert json.loads(done) == value
        assert boost(name, done) == done


@given(st.text(max_size=50).filter(lambda text: text.isascii() or text.isprintable()))
def test_what_is_encoded_is_decoded(text: str) -> None:
    assert boost("decode-base64", boost("encode-base64", text)) == text
    assert boost("decode-url", boost("encode-url", text)) == text


EXPRESSIONS = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*"]), inner),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_arithmetic_agrees_with_pythons(expression: str) -> None:
    expected = eval(compile(ast.parse(expression, mode="eval"), "", "eval"))  # noqa: S307 - made above, of digits
    assume(abs(expected) < 10**30)
    assert Decimal(boost("calculate", expression)) == expected
