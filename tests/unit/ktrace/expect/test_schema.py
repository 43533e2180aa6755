"""What a file of expectations may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ktrace.errors import UsageError
from ktrace.expect import yaml_text
from ktrace.expect.schema import load

ONE = "expectations: [{name: it is so, select: {component: kubelet}, expect: {%s}}]"
ATTRIBUTE = "expectations: [{name: a, select: {component: kubelet, attributes: {key: %s}}}]"

_PLACE = re.compile(r"line [0-9]+, (?!column)")
"""Where a problem is; the tests of lines compare it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "wanted.yaml"


def refusal(file: Path, text: str, **values: str) -> str:
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load(file, values)
    assert error.value.code == 2
    message = str(error.value)
    assert message.isprintable()
    assert message.startswith(str(file))
    return _PLACE.sub("", message.removeprefix(str(file)).lstrip(": "))


def attribute(file: Path, written: str, **values: str) -> str:
    file.write_text(ATTRIBUTE % written)
    return load(file, values).expectations[0].spans.attributes["key"]


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["404", "true", "yes", "no", "010", "0x10", "12:30", "1_000", "2026-01-01", "1.50", "=", ".5"],
)
def test_a_value_is_what_is_written(file: Path, written: str) -> None:
    assert attribute(file, written) == written


@pytest.mark.parametrize(("written", "value"), [("''", ""), ('"a\\nb"', "a\nb"), ("'~'", "~")])
def test_quotes_are_read(file: Path, written: str, value: str) -> None:
    assert attribute(file, written) == value


@pytest.mark.parametrize("value", ["a: b", "}", "x\n  y: z", "# no", "'", "$X ${X}", ""])
def test_a_value_from_outside_is_text_whatever_it_contains(file: Path, value: str) -> None:
    assert attribute(file, "${X}", X=value) == value
    assert attribute(file, "'<${X}>'", X=value) == f"<{value}>"
    assert attribute(file, "$X", X=value) == value


@pytest.mark.parametrize(
    ("written", "value"), [("$$", "$"), ("$${X}", "${X}"), ("'$${X} ${X}'", "${X} 1")]
)
def test_two_dollars_are_one(file: Path, written: str, value: str) -> None:
    file.write_text(f"expectations:\n- name: {written}\n  select: {{component: a}}")
    assert load(file, {"X": "1"}).expectations[0].name == value


def test_a_comment_needs_no_value(file: Path) -> None:
    file.write_text("# $5 for ${NOTHING}\n" + ATTRIBUTE % "a")
    assert load(file, {})


def test_counts_and_durations_may_come_from_outside(file: Path) -> None:
    file.write_text(ONE % "count: {min: ${N}}, durationBelowMs: ${MS}, noErrors: ${NO}")
    expected = load(file, {"N": "2", "MS": "1.5", "NO": "true"}).expectations[0].expect
    assert (expected.least, expected.durationBelowMs, expected.noErrors) == (2, 1.5, True)


def test_anchors_and_merges_work(file: Path) -> None:
    file.write_text(
        "expectations:\n"
        "- {name: a, select: &s {component: kubelet, operation: x}}\n"
        "- {name: b, select: {<<: *s, operation: y}}\n"
    )
    selects = [expectation.spans for expectation in load(file, {}).expectations]
    assert [(select.component, select.operation) for select in selects] == [
        ("kubelet", "x"),
        ("kubelet", "y"),
    ]


_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=20)


@given(document=st.recursive(_TEXTS, lambda part: st.lists(part) | st.dictionaries(_TEXTS, part)))
def test_what_yaml_has_quoted_is_read_again(document: Any) -> None:
    quoted = yaml.safe_dump(document, default_style='"', allow_unicode=True).replace("$", "$$")
    assert yaml_text.read(quoted, {}) == document


# --- a broken file --------------------------------------------------------------------------------


def test_a_pod_is_refused_where_no_span_says_of_which_pod_it_is(file: Path) -> None:
    text = "expectations: [{name: a, select: {component: apiserver, pod: default/a}}]"
    assert refusal(file, text) == (
        "expectation 1 'a', select: pod cannot select spans of apiserver: only kubelet and "
        "containerd have spans in a pod's traces; remove pod, or select by attributes"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file: is empty: it needs the key expectations, a list"),
        ("just text", "the file: 'just text' is not a map with the keys sinceSeconds, expectat"),
        ("[]", "the file: [] is not a map with the keys"),
        ("a: 1", "expectations: is missing: add it; a: is not a known key: the keys here are sin"),
        ("expectations: []", "expectations: is empty: add an expectation"),
        ("expectations: {a: b}", "expectations: {'a': 'b'} is not a list: begin each of its entri"),
        ("expectations: ${WHICH}", "line 1: ${WHICH} has no value: add --set WHICH=VALUE"),
        ("expectations: [a]", "expectation 1: 'a' is not a map with the keys name, select, "),
        (
            "expectations: [{name: a}]",
            "expectation 1 'a': has nothing to judge: an expectation has ",
        ),
        ("expectations: [{name: '', select: {component: a}}]", "expectation 1, name: is empty"),
        (
            "expectations: [{name: a, select: {component: k, komponent: 1}}]",
            "expectation 1 'a', select.komponent: is not a known key, perhaps component: the keys "
            "here are component, operation, pod, attributes",
        ),
        (
            "expectations: [{name: a, select: {component: kubelet, pod: web-0}}]",
            "expectation 1 'a', select.pod: 'web-0' is not NAMESPACE/NAME of a pod, such as ",
        ),
        (ATTRIBUTE % "", "expectation 1 'a', select.attributes.key: has no value: remove the key"),
        (ATTRIBUTE % "[1]", "expectation 1 'a', select.attributes.key: ['1'] is not text"),
        (ATTRIBUTE % "'a $ b'", "line 1: a $ names no value; write $$ for a plain $"),
        (ONE % "count: -1", "expectation 1 'it is so', expect.count: '-1' is less than 0"),
        (ONE % "count: few", "expectation 1 'it is so', expect.count: 'few' is not a whole number"),
        (ONE % "count: [1]", "expectation 1 'it is so', expect.count: ['1'] is not a whole number"),
        (
            ONE % "count: {}",
            "expectation 1 'it is so', expect.count: has no bound: add min, max or",
        ),
        (
            ONE % "count: {min: 3, max: 2}",
            "expectation 1 'it is so', expect.count: min 3 is more than max 2, so no number meets ",
        ),
        (ONE % "count: {max: x}", "expectation 1 'it is so', expect.count.max: 'x' is not a whole"),
        (
            ONE % "count: {mni: 1}",
            "expectation 1 'it is so', expect.count.mni: is not a known key, ",
        ),
        (
            ONE % "durationBelowMs: 10ms",
            "expectation 1 'it is so', expect.durationBelowMs: '10ms' ",
        ),
        (
            ONE % "durationBelowMs: [10]",
            "expectation 1 'it is so', expect.durationBelowMs: ['10'] is not a number",
        ),
        (
            ONE % "durationBelowMs: 0",
            "expectation 1 'it is so', expect.durationBelowMs: '0' is not",
        ),
        (ONE % "noErrors: maybe", "expectation 1 'it is so', expect.noErrors: 'maybe' is neither "),
        (ONE % "child: x", "expectation 1 'it is so', expect.child: 'x' is not a map with the key"),
        ("sinceSeconds: inf\n" + ONE % "", "sinceSeconds: 'inf' is not finite"),
        ("sinceSeconds: 0\n" + ONE % "", "sinceSeconds: '0' is not more than 0"),
        ("{", "is not valid YAML: line 1, column 2: while parsing a flow node"),
        ("a: b: c", "is not valid YAML: line 1, column 5: mapping values are not allowed here"),
        ("a: 1\nb: 2\na: 3", "is not valid YAML: line 3, column 1: the key a is there twice; remo"),
        ("a: \x1b", "is not valid YAML: unacceptable character #x001b"),
        ("[" * 20_000, "is not valid YAML: it is nested too deeply"),
        ("- !!python/name:os.system x", "is not valid YAML: line 1, column 3: could not determine"),
        ("a: *b", "is not valid YAML: line 1, column 4: found undefined alias 'b'"),
        (
            "expectations: " + "[" * 30 + "x" * 500 + "]" * 30,
            "expectation 1: [[[[[[[...]]]]]]] is not a map",
        ),
        ("a: &a [*a]", "expectations: is missing: add it; a: is not a known key"),
        ('expectations: ["\\e[31m"]', r"expectation 1: '\x1b[31m' is not a map"),
    ],
)
def test_a_broken_file_is_told(file: Path, text: str, message: str) -> None:
    assert refusal(file, text).startswith(message)


def test_every_problem_is_told_with_the_expectation_that_has_it(file: Path) -> None:
    first = "{name: a, select: {}}"
    second = "{name: b, select: {component: k}, expect: {count: x}}"
    assert refusal(file, f"expectations: [{first}, {second}]") == (
        "expectation 1 'a', select.component: is missing: add it; "
        "expectation 2 'b', expect.count: 'x' is not a whole number"
    )


def test_a_file_that_is_no_text_is_told(file: Path) -> None:
    file.write_bytes(b"expectations: \xff")
    with pytest.raises(UsageError, match="is not UTF-8 text: byte 15 is not; save it as UTF-8"):
        load(file, {})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "absent.yaml", {})


@given(text=st.text(alphabet="expectations:[]{}&*!|>-'\"\\\n \t$#,?%@`0a", max_size=40))
def test_any_text_is_a_file_or_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text)
    try:
        ended = str(load(path, {}))
    except UsageError as error:
        ended = str(error)
    assert ended.isprintable()


# --- what an expectation is about -----------------------------------------------------------------


def one(what: str) -> str:
    return f"expectations:\n- name: a\n  {what}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (one("webhook: '*'\n  pod: '*'"), "expectation 1 'a': has webhook and pod: an expectatio"),
        (one("request: {verb: crate}"), "expectation 1 'a', request.verb: 'crate' is no verb, pe"),
        (
            one("request: {resource: deploy/status}"),
            "expectation 1 'a', request.resource: 'deploy/status' is no resource of a request: "
            "write deployments.apps/status",
        ),
        (
            one("request: {resource: Widgets}"),
            "expectation 1 'a', request.resource: 'Widgets' is no resource of a request: "
            "write widgets",
        ),
        (one("request: {verbs: get}"), "expectation 1 'a', request.verbs: is not a known key, pe"),
        (one("request: {name: ''}"), "expectation 1 'a', request.name: is empty: write a text"),
        (one("request: get"), "expectation 1 'a', request: 'get' is not a map with the keys verb,"),
        (one("request:"), "expectation 1 'a': request has no value: write one, or remove the"),
        (one("webhook: ''"), "expectation 1 'a', webhook: is empty"),
        (one("pod: web-0"), "expectation 1 'a', pod: 'web-0' is not NAMESPACE/NAME of pods, such"),
        (one("quietFor: 20"), "expectation 1 'a', quietFor: '20' is not a time: write 500ms, 20s"),
        (one("quietFor: 11m"), "expectation 1 'a', quietFor: '11m' is not a time: write "),
        (one("quietFor: 9s\n  expect: {count: 1}"), "expectation 1 'a': count cannot be expected "),
        (
            one("webhook: x\n  expect: {readyWithin: 1s}"),
            "expectation 1 'a': readyWithin cannot be expected of webhook; that takes count, dur",
        ),
        (
            one("select: {component: k}\n  expect: {failedOpen: true}"),
            "expectation 1 'a': failedOpen cannot be expected of select; that takes count, child",
        ),
        (
            one("pod: '*'\n  expect: {steps: {x: soon}}"),
            "expectation 1 'a', expect.steps.x: 'soon' is not a time",
        ),
    ],
)
def test_a_broken_selector_is_told(file: Path, text: str, message: str) -> None:
    assert refusal(file, text).startswith(message)


def test_a_problem_is_told_with_its_line(file: Path) -> None:
    file.write_text(one("request:\n    verb: crate") + "- name: b\n  quietFor: never\n")
    with pytest.raises(UsageError) as error:
        load(file, {}, of_command=True)
    assert ": line 4, expectation 1 'a', request.verb: 'crate' " in str(error.value)
    assert "; line 6, expectation 2 'b', quietFor: 'never' " in str(error.value)


@pytest.mark.parametrize("what", ["pod: '*'", "quietFor: 20s"])
def test_what_needs_a_command_is_refused_without_one(file: Path, what: str) -> None:
    refused = refusal(file, one(what))
    assert refused.startswith(f"expectation 1 'a', {what.partition(':')[0]}: spans alone do not ")
    assert "`ktrace run --assert FILE -- COMMAND`" in refused
    assert load(file, {}, of_command=True)


@pytest.mark.parametrize("what", ["request: {verb: write, client: helm/*}", "webhook: a/*"])
def test_what_spans_tell_needs_no_command(file: Path, what: str) -> None:
    file.write_text(one(what))
    assert load(file, {}).expectations[0].expect.least == 1


@pytest.mark.parametrize("resource", ["deployments", "deployments.apps", "pods/status", "w*", "*"])
def test_a_resource_is_named_as_in_requests(file: Path, resource: str) -> None:
    file.write_text(one(f"request: {{resource: '{resource}'}}"))
    assert load(file, {}).expectations
