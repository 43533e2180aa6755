"""200 generated bad configurations: the rules refuse each that is theirs, in words, and pass the
others on to the rehearsal.

What happens to those on a standing cluster is in tests/soak/test_configurations.py.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime_observability.core import documents, rehearsal
from runtime_observability.core.naming import Names
from runtime_observability.core.problem import Problem
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.parse import SettingsError
from tests.bad_configurations import BAD, MANY_DIGITS, Bad, Judge
from tests.configuration import PROJECT, SCHEMA, parsed, spec_of

NAMES = Names("dev", PROJECT)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def problems_of(config: dict[str, Any]) -> tuple[Problem, ...]:
    """The problems that the rules have with ``config``; any other error fails the test.

    Of an accepted one, what k3d gets can be made: for the cluster and for its rehearsal.
    """
    try:
        accepted = parsed(**config)
    except SettingsError as error:
        return error.problems
    expect_documents(accepted)
    return ()


def expect_documents(accepted: Settings) -> None:
    """The generated ones can be made, and k3d finds nothing to expand in its own."""
    if accepted.containerd_plan.upstream:  # needs a look at the machine's containerd
        accepted = accepted.model_copy(update={"containerd_tracing": "image"})
    spec = spec_of(NAMES, accepted)
    for config in (spec.config, rehearsal.configuration(spec, NAMES)):
        assert "$" not in documents.dump(config)
    json.dumps(spec.document)


def _seen_before(config: dict[str, Any]) -> Bad:
    return Bad("seen to be accepted, or to end in a traceback", Judge.RULES, config)


@settings(max_examples=200)
@given(BAD)
@example(_seen_before({"k3sArgs": [f"--disable=traefik@server:{MANY_DIGITS}"]}))
@example(_seen_before({"k3sArgs": ["--@server:*"]}))
@example(_seen_before({"portOffset": MANY_DIGITS}))
@example(_seen_before({"portOffset": MANY_DIGITS, "kubeApiPort": 70_000}))
@example(_seen_before({"kubeApiPort": MANY_DIGITS}))
@example(_seen_before({"registries": {"config": "[" * 3000}}))
@example(_seen_before({"k3sVersion": "v1.36.\u0663-k3s1"}))
def test_a_bad_configuration_is_refused_by_its_key_or_goes_to_the_rehearsal(bad: Bad) -> None:
    problems = problems_of(dict(bad.config))
    if bad.judge is not Judge.RULES:
        assert problems == ()
        return
    assert all(problem.seen for problem in problems)
    keys = {re.split(r"[. ]", problem.key)[0] for problem in problems}
    assert keys & bad.config.keys(), "the rules accept it, or name none of its keys"


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(sorted(SCHEMA)), _JSON, min_size=1, max_size=3))
def test_whatever_a_key_has_is_accepted_or_refused_in_words(config: dict[str, Any]) -> None:
    problems = problems_of(config)
    assert not any("Input should" in str(problem) for problem in problems), "pydantic's words"
