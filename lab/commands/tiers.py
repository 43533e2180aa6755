"""What each of the Makefile's targets of checks runs, as data."""

from __future__ import annotations

from dataclasses import dataclass

from lab.build import cassandra, elasticsearch, images, opensearch, programs
from lab.build.images import Image
from lab.build.steps import Step
from lab.providers import install
from lab.providers.install import Plugin

PYTHON = "python"
PYTEST = ("-m", "pytest")
SIDE_BY_SIDE = ("--numprocesses", "logical")  # one for each core; a stack is for one test at a time
_QUICK = "not every_version and not every_store and not kubernetes_provider"
"""Without what has a target of its own."""
VERBOSE = "-vv"  # these tests take minutes: the user sees which ones have ended


@dataclass(frozen=True)
class Tier:
    """One group of checks: a program with its arguments."""

    name: str
    arguments: tuple[str, ...]
    program: str = PYTHON
    """The program's file in .venv/bin."""
    parts: tuple[tuple[str, ...], ...] = ((),)
    """For each of its commands patterns, relative to the project's folder, of the files that the
    program gets at its end. The commands run side by side: tests of stacks wait for half of their
    time, and pytest-xdist leaves the stacks of a Ctrl-C behind. Files are dealt by their first
    letters, so that no test gets another one before it because a file has grown or is new."""
    step: Step | None = None
    """Builds the program, which is no Python package, where PATH does not have it."""
    steps: tuple[Step, ...] = ()
    """What else has to be built for it."""
    needs_lab: bool = False
    images: tuple[Image, ...] = ()
    """The images that its tests need besides those of the default stack."""
    plugins: tuple[Plugin, ...] = ()
    """The provider plugins that its tests need besides those of the project's program."""
    needs_browser: bool = False
    images_of_maven: tuple[Image, ...] = ()
    """Like ``images``, of programs that Maven fetches."""


SHELL_FILES = (".ci/*", ".github/scripts/*.sh", "lab/opensearch/image/*.sh", "tests/live/*.sh")
DELETES = ("runtime_observability/host/scripts/*.sh",)
"""Texts that Pulumi hands to sh. Their lists of Docker ids are split into words on purpose."""
YAML_FILES = (
    "*.yaml",
    "*.yml",
    ".*.yaml",
    ".github/**/*.yml",
    "config_templates/*.yaml",
    "examples/*/*.y*ml",
    "ktrace/expect/builtin/*.yaml",
)
"""Those that people write; tests/ has files that a program wrote."""
LINT = (
    Tier("ruff", ("-m", "ruff", "check", ".")),
    Tier("ruff format", ("-m", "ruff", "format", "--check", ".")),
    Tier("mypy", ("-m", "mypy", ".")),
    Tier("shellcheck", (), program="shellcheck", parts=(SHELL_FILES,)),
    Tier(
        "shellcheck of deletes",
        ("--shell", "sh", "--exclude", "SC2086"),
        program="shellcheck",
        parts=(DELETES,),
    ),
    Tier("codespell", ("-m", "codespell_lib")),
    Tier("yamllint", ("-m", "yamllint", "--strict"), parts=(YAML_FILES,)),
    Tier(
        "actionlint",
        ("-shellcheck", ".venv/bin/shellcheck", "-pyflakes", ""),
        program="actionlint",
        step=programs.actionlint,
    ),
    Tier(
        "zizmor",
        ("--offline", "--no-progress", "--persona", "auditor", "."),
        program="zizmor",
    ),
    *(
        Tier(
            f"schema of {title}",
            ("-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"),
            parts=((pattern,),),
        )
        for title, schema, pattern in (
            ("workflows", "github-workflows", ".github/workflows/*.yml"),
            ("actions", "github-actions", "action.yml"),
            ("issue forms", "github-issue-forms", ".github/ISSUE_TEMPLATE/[0-9]*.yml"),
            ("issue links", "github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
            ("Renovate", "renovate", "renovate.json"),
        )
    ),
)
FAST = (
    *LINT,
    Tier(
        "unit, graph, wheel",
        (*PYTEST, *SIDE_BY_SIDE, "tests/unit", "tests/graph", "tests/packaging"),
    ),
)
ALL = (
    *FAST,
    Tier(
        "contract, of what Jaeger has",
        (*PYTEST, "-m", _QUICK, "tests/contract"),
        steps=(programs.jaeger,),
    ),
    Tier("pipelines", (*PYTEST, "tests/pipelines"), steps=(programs.collector,)),
    Tier(
        "engine",
        (*PYTEST, VERBOSE),
        parts=(("tests/engine/test_[a-cf-h]*.py",), ("tests/engine/test_[d-ei-z]*.py",)),
        needs_lab=True,
    ),
    Tier(
        "e2e",
        (*PYTEST, VERBOSE, "-m", _QUICK),
        parts=(("tests/e2e/test_[a-ks-z]*.py",), ("tests/e2e/test_[l-r]*.py",)),
        needs_lab=True,
        images=(images.NODES[programs.NEWEST_KUBERNETES], images.STOCK_NODE),
        needs_browser=True,
        images_of_maven=images.OF_OPENSEARCH,
    ),
    Tier("soak, a sample", (*PYTEST, VERBOSE, "tests/soak"), needs_lab=True),
)
SOAK = (Tier("soak", (*PYTEST, VERBOSE, "tests/soak", "--whole"), needs_lab=True),)
VERSIONS = (
    Tier(
        "versions",
        (*PYTEST, VERBOSE, "tests/e2e/test_versions.py"),
        needs_lab=True,
        images=(*images.NODES.values(), images.STOCK_NODE),
    ),
)
STACK_STORES = (
    Tier(
        "trace stores of stacks",
        (
            *(*PYTEST, VERBOSE, "tests/e2e/test_trace_store.py", "tests/e2e/test_open_search.py"),
            *("tests/e2e/test_cassandra.py", "tests/e2e/test_elasticsearch.py"),
            "tests/e2e/test_store_login.py",
        ),
        needs_lab=True,
        images_of_maven=(*images.OF_OPENSEARCH, cassandra.IMAGE, elasticsearch.IMAGE),
    ),
)
EXAMPLES = (
    Tier(
        "examples",
        (*PYTEST, VERBOSE, "tests/e2e/test_examples.py"),
        needs_lab=True,
        plugins=(install.KUBERNETES,),
    ),
)
CONTRACT = (
    Tier(
        "contract",
        (*PYTEST, "tests/contract"),
        steps=(
            *(programs.jaeger, programs.collector, opensearch.opensearch),
            *(elasticsearch.elasticsearch, cassandra.cassandra),
        ),
    ),
)
STORES = (
    Tier(
        "a killed manager",
        (*PYTEST, VERBOSE, "--capture=no", "tests/stores"),
        steps=(programs.jaeger, opensearch.opensearch),
    ),
    Tier(
        "a million spans",
        ("-m", "tests.bench.stores"),
        steps=(programs.jaeger, opensearch.opensearch),
    ),
)
BENCH = (
    Tier("bench of ktrace", ("-m", "tests.bench.ktrace")),
    Tier("bench of a stack", ("-m", "tests.bench"), needs_lab=True),
)
FALSE_ALARMS = (Tier("false alarms", ("-m", "tests.bench.false_alarms"), needs_lab=True),)
MUTANTS = (Tier("mutants", ("-m", "tests.mutants")),)
TIERS = {
    "lint": LINT,
    "test-fast": FAST,
    "test": ALL,
    "test-versions": VERSIONS,
    "test-stores": STACK_STORES,
    "test-examples": EXAMPLES,
    "soak": SOAK,
    "contract": CONTRACT,
    "stores": STORES,
    "bench": BENCH,
    "false-alarms": FALSE_ALARMS,
    "mutants": MUTANTS,
}
