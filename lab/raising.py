"""What raising a pin changes: the places in which its release is written, and what resolves it.

Pure: lab/commands/raise_.py carries a Change out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lab.build import cassandra, elasticsearch, opensearch
from lab.errors import LabError
from lab.pins import Pins
from runtime_observability.core.versions import Version

PINS = "lab/pins.toml"
_COMPATIBILITY = "runtime_observability/core/compatibility.py"
_SUPPORT = "runtime_observability/core/support.py"
_MANIFEST = "lab/go/collector/manifest.yaml"
_IMAGES = "runtime-observability-lab"
_MODULE_VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")


@dataclass(frozen=True)
class Replacement:
    """One text of a file by another."""

    file: str
    """Relative to the project; a pattern such as Pulumi.*.yaml stands for every file it fits."""
    before: str
    after: str
    everywhere: bool = False
    """Whether the text may be there any number of times, even never; otherwise it is there once."""


@dataclass(frozen=True)
class Change:
    """Everything that raises one pin."""

    summary: str
    """For instance ``k3d 5.9.0 → 5.9.1``."""
    replacements: tuple[Replacement, ...]
    folder: str = ""
    """The folder of the Go module in lab/go; empty where the pin has none."""
    copied_from: str = ""
    """The folder that it is copied from, where it does not exist yet."""
    commands: tuple[tuple[str, ...], ...] = ()
    """They run in the folder, after the replacements."""
    jars: str = ""
    """The folder in lab whose jars Maven fetches again, to lock their checksums; empty: none."""
    jars_pins: tuple[str, ...] = ()
    """The pins of [java] that its pom.xml uses."""
    unwanted: tuple[str, ...] = ()
    """Files that a command leaves in the folder and that the next one must not find."""
    to_read: tuple[str, ...] = ()
    """What only a person can do, one line each."""


@dataclass(frozen=True)
class _Place:
    """Where a release is written: ``<release>`` in the text stands for it."""

    file: str
    text: str
    everywhere: bool = False

    def replacement(self, before: str, after: str) -> Replacement:
        old, new = (self.text.replace("<release>", release) for release in (before, after))
        return Replacement(self.file, old, new, self.everywhere)


@dataclass(frozen=True)
class _Program:
    """A pin whose release is that of a Go module.

    In the commands ``{version}`` is the release, and ``{module}`` the version of the module.
    """

    folder: str
    commands: tuple[str, ...]
    to_read: tuple[str, ...]
    places: tuple[_Place, ...] = ()
    module_places: tuple[_Place, ...] = ()
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Jars:
    """A pin whose release is that of jars in Maven's central repository."""

    folder: str
    pins: tuple[str, ...]
    to_read: tuple[str, ...]
    places: tuple[_Place, ...] = ()


def _pin(name: str) -> _Place:
    return _Place(PINS, f'\n{name} = "<release>"\n')


def _default(name: str, key: str) -> tuple[_Place, ...]:
    """The places of a release that a stack has by default."""
    return (
        _Place(_SUPPORT, f'\nDEFAULT_{name} = Version.parse("<release>")\n'),
        _Place("Pulumi.yaml", f"  {key}:\n    type: string\n    default: <release>\n"),
    )


def _image(key: str, name: str) -> _Place:
    return _Place("Pulumi.*.yaml", f":{key}: {_IMAGES}/{name}:<release>\n", everywhere=True)


def _backend(name: str, dockerfile: str) -> tuple[str, ...]:
    return (
        f"{_COMPATIBILITY}: is it newer than NEWEST_KNOWN_{name}? Then read its sources first, add "
        "its rows and raise NEWEST_KNOWN",
        f"{_SUPPORT}: add its day with the source, and say why DEFAULT_{name} is this one",
        f"lab/build/images.py: compare the image with the release's {dockerfile}",
        _GOLDEN,
    )


_GOLDEN = "tests: `UPDATE_GOLDEN=1 make test-fast` rewrites the golden files; read their diff"
_DEFAULT_KUBERNETES = (
    _Place(_SUPPORT, '\nDEFAULT_K3S = Version.parse("v<release>-k3s1")\n'),
    _Place("Pulumi.yaml", "  k3sVersion:\n    type: string\n    default: v<release>-k3s1\n"),
    _Place("config_templates/k3d.yaml", "\nimage: docker.io/rancher/k3s:v<release>-k3s1\n"),
)
_PROGRAMS = {
    "containerd": _Program(
        "containerd",
        ("get github.com/containerd/containerd/v2@v{version}", "mod tidy"),
        ("docs/versions.md: the table of what was run names the lab's containerd",),
    ),
    "jaeger": _Program(
        "jaeger",
        # No `mod tidy`: the checksum database has no answer for modules that only tests need.
        ("get github.com/jaegertracing/jaeger@{module}",),
        (
            "lab/go/jaeger: compare the replacements in go.mod, and go.sum, with Jaeger's own",
            *_backend("JAEGER", "cmd/jaeger/Dockerfile"),
        ),
        (*_default("JAEGER", "jaegerVersion"), _image("jaegerImage", "jaeger")),
    ),
    "collector": _Program(
        "collector",
        (
            "run go.opentelemetry.io/collector/cmd/builder@v{version} --skip-compilation "
            "--config manifest.yaml",
            "mod tidy",
        ),
        _backend("COLLECTOR", "distributions/otelcol/Dockerfile"),
        (
            *_default("COLLECTOR", "collectorVersion"),
            _image("collectorImage", "opentelemetry-collector"),
            _Place(_MANIFEST, "  version: <release>\n"),
            _Place(_MANIFEST, " v<release>\n", everywhere=True),
        ),
        (_Place(_MANIFEST, " <release>\n", everywhere=True),),
        unwanted=("main_windows.go",),
    ),
    "k3d": _Program(
        "k3d",
        ("get github.com/k3d-io/k3d/v5@v{version}", "mod tidy"),
        ("runtime_observability/host and lab/node: read again what they cite of k3d's sources",),
        (_image("k3dToolsImage", "k3d-tools"),),
    ),
    "etcd": _Program(
        "etcd",
        ("get go.etcd.io/etcd/server/v3@v{version}", "mod tidy"),
        ("lab/node/k3s/etcd.py: are its flags the same?",),
    ),
    "pulumi": _Program(
        "pulumi",
        (
            "get github.com/pulumi/pulumi/pkg/v3@v{version} "
            "github.com/pulumi/pulumi/sdk/v3@v{version}",
            "mod tidy",
        ),
        ("requirements.in and lab/requirements.in: the SDK has a pin of its own",),
    ),
    "language-host": _Program(
        "language-host",
        ("get github.com/pulumi/pulumi/sdk/v3@v{version}", "mod tidy"),
        ("lab/go/pulumi-language-python: compare it with the options of the new host",),
    ),
    "pulumi-kubernetes": _Program(
        "pulumi-kubernetes",
        ("get github.com/pulumi/pulumi-kubernetes/provider/v4@{module}", "mod tidy"),
        (
            "requirements-dev.in: raise pulumi-kubernetes too",
            "lab/go/pulumi-kubernetes: compare go.mod with the provider's own",
        ),
    ),
}
_RUNS = "`make contract` and `make test-stores`: does it run?"
_LOG4J = "lab/pins.toml: log4j must be the release of log4j-api in lab/opensearch/jars.sha256"
_JARS = {
    "cassandra": _Jars(
        "cassandra",
        cassandra.PINS_OF_POM,
        (
            "lab/build/cassandra.py: compare the options of Java with conf/jvm*-server.options",
            _RUNS,
        ),
    ),
    "elasticsearch": _Jars(
        "elasticsearch",
        elasticsearch.PINS_OF_POM,
        (
            "lab/build/elasticsearch.py: compare the options of Java and the module's descriptor",
            _RUNS,
        ),
    ),
    "log4j": _Jars("opensearch", opensearch.PINS_OF_POM, (_LOG4J, _RUNS)),
    "opensearch": _Jars(
        "opensearch",
        opensearch.PINS_OF_POM,
        (
            _LOG4J,
            "lab/build/opensearch.py: compare the options of Java and the module's descriptor",
            *_backend("OPENSEARCH", "opensearch.al2023.dockerfile"),
            _RUNS,
        ),
        (
            *_default("OPENSEARCH", "openSearchVersion"),
            _image("openSearchImage", "opensearch"),
            _Place("examples/central/compose.yaml", "/opensearchproject/opensearch:<release>\n"),
        ),
    ),
}
_STAND_INS = ("pulumi-command", "pulumi-docker")
NAMES = tuple(sorted([*_PROGRAMS, *_JARS, *_STAND_INS, "kubernetes", "kubernetes-default"]))


def change(pins: Pins, name: str, version: str, module: str = "") -> Change:
    """Return what raises the pin ``name`` to ``version``.

    ``module`` is the version of its Go module, if that is another one than the release's. Raises
    LabError for a name, a version or a module that cannot be meant.
    """
    if name not in NAMES:
        raise LabError(f"PIN={name}: there is no such pin. The pins are {', '.join(NAMES)}")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise LabError(f"VERSION={version}: not a release number. Write MAJOR.MINOR.PATCH")
    _check_module(pins, name, module)
    match name:
        case "kubernetes":
            return _kubernetes(pins, version)
        case "kubernetes-default":
            return _default_of_kubernetes(pins, version)
        case "pulumi-command" | "pulumi-docker":
            return _stand_in(pins, name, version)
        case _ if name in _JARS:
            return _jars(pins, name, version)
        case _:
            return _program(pins, name, version, module)


def _check_module(pins: Pins, name: str, module: str) -> None:
    own = pins.modules.get(f"{name}-module")
    if own is None and module:
        raise LabError(f"MODULE={module}: {name} has no Go module of another version. Leave it out")
    if own and not _MODULE_VERSION.fullmatch(module):
        raise LabError(
            f"MODULE={module}: not a version of a Go module. That of {name} has another version "
            f"than {name} itself, now {own}: write both, VERSION=… MODULE=v…"
        )


def _raised(name: str, before: str, after: str) -> str:
    """Return the change in words; LabError if it is none, or a step back."""
    if Version.parse(after) <= Version.parse(before):
        raise LabError(f"VERSION={after}: {name} is {before}, and a pin is only raised")
    return f"{name} {before} → {after}"


def _replacements(places: Iterable[_Place], before: str, after: str) -> list[Replacement]:
    return [place.replacement(before, after) for place in places]


def _program(pins: Pins, name: str, version: str, module: str) -> Change:
    program = _PROGRAMS[name]
    before = {**pins.programs, **pins.plugins}[name]
    replacements = _replacements([_pin(name), *program.places], before, version)
    if module:
        key = f"{name}-module"
        places = [_pin(key), *program.module_places]
        replacements += _replacements(places, pins.modules[key], module)
    commands = (line.format(version=version, module=module) for line in program.commands)
    return Change(
        _raised(name, before, version),
        tuple(replacements),
        folder=program.folder,
        commands=tuple(("go", *line.split()) for line in commands),
        unwanted=program.unwanted,
        to_read=program.to_read,
    )


def _jars(pins: Pins, name: str, version: str) -> Change:
    of = _JARS[name]
    before = pins.java[name]
    return Change(
        _raised(name, before, version),
        tuple(_replacements([_pin(name), *of.places], before, version)),
        jars=of.folder,
        jars_pins=of.pins,
        to_read=of.to_read,
    )


def _stand_in(pins: Pins, name: str, version: str) -> Change:
    before = pins.plugins[name]
    plugin = name.replace("pulumi-", "pulumi-resource-")
    documented = _Place("lab/providers/__init__.py", f" {plugin} <release>")
    return Change(
        _raised(name, before, version),
        tuple(_replacements([_pin(name), documented], before, version)),
        to_read=(
            f"requirements.in: raise {name} too; pyproject.toml: is it in the range?",
            f"lab/providers: compare the stand-in with {name} {version}, and cite its sources",
        ),
    )


def _kubernetes(pins: Pins, version: str) -> Change:
    """Raise the release of a minor, or add the next minor beside the others."""
    minor = version.rpartition(".")[0]
    newest = list(pins.kubernetes)[-1]
    known = minor in pins.kubernetes
    old_minor = minor if known else newest
    before = pins.kubernetes[old_minor]
    summary = _raised(f"kubernetes {minor}" if known else "the newest kubernetes", before, version)
    folder = f"kubernetes-{minor}"
    module = f"lab/go/{folder}/go.mod"
    line = f'\n"{old_minor}" = "{before}"\n'
    added = f'\n"{minor}" = "{version}"\n'
    replacements = [
        Replacement(PINS, line, added if known else line + added.lstrip()),
        Replacement(module, f"/kubernetes-{old_minor}\n", f"/{folder}\n"),
        Replacement(module, f"k8s.io/kubernetes v{before}\n", f"k8s.io/kubernetes v{version}\n"),
        # The staging modules: 1.36.3 of Kubernetes is 0.36.3 of each.
        Replacement(module, f" v0{before[1:]}\n", f" v0{version[1:]}\n", everywhere=True),
    ]
    to_read = [
        f"{module}: compare go, godebug and the list of replacements with Kubernetes' own go.mod",
        f"{_COMPATIBILITY}: is it newer than NEWEST_KNOWN_K3S? Then read its sources, add its rows",
        "tests: `make test-versions` starts a traced pod on it",
    ]
    if not known:
        to_read.append(f"{_SUPPORT}: add the day of {minor} with its source")
    elif minor == pins.kubernetes_default:
        replacements += _replacements(_DEFAULT_KUBERNETES, before, version)
        to_read.append(_GOLDEN)
    return Change(
        summary,
        tuple(replacements),
        folder=folder,
        copied_from="" if known else f"kubernetes-{newest}",
        commands=(("go", "mod", "tidy"),),
        to_read=tuple(to_read),
    )


def _default_of_kubernetes(pins: Pins, version: str) -> Change:
    if version not in pins.kubernetes.values():
        raise LabError(
            f"VERSION={version}: the lab does not build it. Choose one of "
            f"{', '.join(pins.kubernetes.values())}, or add it with PIN=kubernetes"
        )
    before = pins.kubernetes[pins.kubernetes_default]
    minors = (pins.kubernetes_default, version.rpartition(".")[0])
    return Change(
        _raised("the default kubernetes", before, version),
        (
            _pin("kubernetes-default").replacement(*minors),
            *_replacements(_DEFAULT_KUBERNETES, before, version),
        ),
        to_read=(
            f"{_SUPPORT}: say why DEFAULT_K3S is of this minor",
            "README and docs: the outputs and tables that name the default",
            _GOLDEN,
        ),
    )
