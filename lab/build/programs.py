"""The programs that the lab builds, in the releases of lab/pins.toml.

Every tool has a module of its own in lab/go/, so that it is built from exactly the versions that
its go.mod and go.sum name, whatever the other tools need.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

import yaml

from lab.build import language_host
from lab.build.go_tool import GoTool
from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.pins import PINS

KUBERNETES = PINS.kubernetes[PINS.kubernetes_default]
"""The Kubernetes of the default stack's nodes; other versions are built only when needed."""
KUBERNETES_VERSIONS = tuple(PINS.kubernetes.values())
"""Oldest first. Every version is built from the module lab/go/kubernetes-MAJOR.MINOR."""
NEWEST_KUBERNETES = KUBERNETES_VERSIONS[-1]
CONTAINERD = PINS.programs["containerd"]
JAEGER = PINS.programs["jaeger"]
COLLECTOR = PINS.programs["collector"]
K3D = PINS.programs["k3d"]
ETCD = PINS.programs["etcd"]
PULUMI = PINS.programs["pulumi"]
LANGUAGE_HOST = PINS.programs["language-host"]
PULUMI_KUBERNETES = PINS.plugins["pulumi-kubernetes"]
"""The release that the built plugin reports; its module is of another version."""
PULUMI_KUBERNETES_MODULE = (
    f"github.com/pulumi/pulumi-kubernetes/provider/v4@{PINS.modules['pulumi-kubernetes-module']}"
)


def _kubernetes(version: str) -> Step:
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    modules = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    programs = (
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubectl",
        "kubelet",
    )
    return GoTool(
        f"kubernetes-{major}.{minor}",
        tuple(f"k8s.io/kubernetes/cmd/{program}" for program in programs),
        minutes=4.5,
        variables={f"{module}.{key}": text for module in modules for key, text in values.items()},
    ).step()


kubernetes = {version: _kubernetes(version) for version in KUBERNETES_VERSIONS}


def _pick_kubectl(bench: Workbench) -> None:
    """Link kubectl alone: what else its step builds is not for the user's PATH."""
    built = bench.needs[kubernetes[KUBERNETES].name]
    (bench.out / "kubectl").hardlink_to(built / "kubectl")


kubectl = Step("kubectl", (), _pick_kubectl, needs=(kubernetes[KUBERNETES],))


def _containerd(name: str, tags: str) -> Step:
    return GoTool(
        name,
        tuple(
            f"github.com/containerd/containerd/v2/cmd/{program}"
            for program in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        minutes=1,
        variables={"github.com/containerd/containerd/v2/version.Version": f"v{CONTAINERD}"},
        tags=f"no_btrfs no_devmapper no_zfs{tags}",
        folder="containerd",
    ).step()


containerd = _containerd("containerd", "")
silent_containerd = _containerd("silent-containerd", " no_tracing")
"""Without the tracing plugin, as k3s links it since 1.27.2."""

etcd = GoTool("etcd", (".",), minutes=0.5, variables={}).step()

k3d = GoTool(
    "k3d",
    ("github.com/k3d-io/k3d/v5",),
    minutes=0.5,
    # Without it k3d reports v5-dev and uses helper images tagged "latest".
    variables={"github.com/k3d-io/k3d/v5/version.Version": f"v{K3D}"},
).step()

k3d_check = GoTool("k3d-check", ("./check",), minutes=0.2, variables={}, folder="k3d").step()
"""What k3d does with a configuration before it creates the first object, for tests to call."""

jaeger = GoTool(
    "jaeger",
    ("github.com/jaegertracing/jaeger/cmd/jaeger",),
    minutes=3,
    variables={"github.com/jaegertracing/jaeger/internal/version.latestVersion": f"v{JAEGER}"},
).step()

collector = GoTool("collector", (".",), minutes=1, variables={}).step()

_engine = GoTool(
    "pulumi-engine",
    ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
    minutes=3.5,
    variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": PULUMI},
    folder="pulumi",
)
_host = GoTool(
    "language-host",
    ("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
    minutes=0.25,
    variables={},
)
_DEFAULT_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
"""First line of the script that runs the program. The engine ends that script with SIGINT, after
errors too, and Python would print a traceback of the line that it interrupted."""
_PYTHON = Path(sys.executable).resolve()
"""The interpreter itself: the virtual environment that the lab runs in may be deleted."""
# -I: neither PYTHON* variables nor the user's project folder change what is imported.
_LAUNCHER = f"""\
#!/bin/sh
exec {shlex.quote(str(_PYTHON))} -I -c "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); \
runpy.run_module('language_host', run_name='__main__', alter_sys=True)" \
"$(dirname "$(realpath "$0")")/host/launcher" "$@"
"""


def _build_language_host(bench: Workbench) -> None:
    """Build the host, and put beside it its script and a folder with what starts it.

    That folder holds lab/build/language_host.py and PyYAML. It is none of the script's own, which
    programs search first: they would not import the PyYAML of their virtual environment.
    """
    host = bench.out / "host"
    _host.compile(bench, host)
    python = bench.cache.go_modules / f"github.com/pulumi/pulumi/sdk/v3@v{LANGUAGE_HOST}/python"
    runner = host / "pulumi-language-python-exec"
    runner.write_text(_DEFAULT_SIGINT + (python / "cmd" / runner.name).read_text())
    runner.chmod(0o755)
    library = host / "launcher" / "yaml"
    shutil.copytree(
        Path(yaml.__file__).parent, library, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(language_host.__file__, library.parent)
    launcher = bench.out / "pulumi-language-python"
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)
    for script in ("pulumi-resource-pulumi-python", "pulumi-analyzer-policy-python"):
        Path(shutil.copy(python / "dist" / script, bench.out)).chmod(0o755)


def _build_pulumi(bench: Workbench) -> None:
    """Put engine and language host into one folder, as hard links.

    The engine runs a language host beside its own program, whose symbolic links it resolves,
    without a warning; for one on PATH it prints several (sdk v3.259.0
    go/common/workspace/plugins.go, getPluginInfoAndPath).
    """
    for step in (_pulumi_engine, _language_host):
        shutil.copytree(
            bench.needs[step.name], bench.out, copy_function=os.link, dirs_exist_ok=True
        )


_pulumi_engine = _engine.step()
_language_host = Step(
    "language-host",
    (
        _host.module,
        *_host.command,
        _DEFAULT_SIGINT,
        _LAUNCHER,
        Path(language_host.__file__),
        yaml.__version__,
    ),
    _build_language_host,
    minutes=_host.minutes,
)
pulumi = Step("pulumi", (), _build_pulumi, needs=(_pulumi_engine, _language_host))


_pulumi_kubernetes = GoTool(
    "pulumi-kubernetes",
    (".",),
    minutes=14,
    variables={
        "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version": PULUMI_KUBERNETES
    },
)


def _build_pulumi_kubernetes(bench: Workbench) -> None:
    """Put the plugin and the two files that it reads into one folder.

    The schema gets the version that the provider's own build gives it (the module's
    cmd/pulumi-resource-kubernetes/generate.go).
    """
    _pulumi_kubernetes.compile(bench, bench.out)
    sources = bench.cache.go_modules / PULUMI_KUBERNETES_MODULE / "cmd/pulumi-resource-kubernetes"
    schema = json.loads((sources / "schema.json").read_text(encoding="utf-8"))
    schema["version"] = PULUMI_KUBERNETES
    (bench.out / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    shutil.copy(sources / "terraform-mapping.json", bench.out)


pulumi_kubernetes = Step(
    "pulumi-kubernetes",
    (_pulumi_kubernetes.module, PULUMI_KUBERNETES_MODULE, *_pulumi_kubernetes.command),
    _build_pulumi_kubernetes,
    minutes=_pulumi_kubernetes.minutes,
)

actionlint = GoTool(
    "actionlint",
    ("github.com/rhysd/actionlint/cmd/actionlint",),
    minutes=0.5,
    variables={},
).step()
"""Checks .github/workflows; no stack needs it, only `make lint`."""
