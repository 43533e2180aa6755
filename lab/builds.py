"""The programs that the lab builds through the Go module proxy, and their links for PATH.

Every tool has a module of its own in lab/go/, so that each is built from exactly the versions that
its go.mod and go.sum name, whatever the others need.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.paths import LAB, Cache
from lab.steps import LabError, Step, Workbench

KUBERNETES = "1.34.4"
"""What the nodes of `make up` run; the others are for tests that ask for them."""
KUBERNETES_VERSIONS = (KUBERNETES, "1.35.4", "1.36.3", "1.37.2")
"""Each is built from the module lab/go/kubernetes-MAJOR.MINOR."""
NEWEST_KUBERNETES = KUBERNETES_VERSIONS[-1]
CONTAINERD = "2.4.2"
JAEGER = "2.13.0"
COLLECTOR = "0.155.0"
K3D = "5.9.0"
PULUMI = "3.259.0"


@dataclass(frozen=True)
class GoTool:
    """Programs that come out of one module in lab/go/."""

    name: str
    packages: tuple[str, ...]
    minutes: float
    variables: Mapping[str, str]
    """Go variables set by the linker: what each program says its version is."""
    tags: str = ""
    folder: str = ""
    """That of its go.mod, where it isn't named as the tool is."""

    @property
    def module(self) -> Path:
        """The folder of its go.mod."""
        return LAB / "go" / (self.folder or self.name)

    @property
    def command(self) -> tuple[str, ...]:
        """The build command, but for where the output goes."""
        flags = " ".join(["-s -w", *(f"-X {key}={value}" for key, value in self.variables.items())])
        build = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false")
        return (*build, "-tags", self.tags, "-ldflags", flags, *self.packages)

    def compile(self, bench: Workbench, into: Path) -> None:
        """Build it; static, so that it runs in any image."""
        if shutil.which("go") is None:
            raise LabError(
                "the lab is built with Go 1.26.6 or newer; install it: https://go.dev/dl"
            )
        go, verb, *rest = self.command
        bench.run(
            [go, verb, "-o", f"{into}/", *rest],
            cwd=self.module,
            CGO_ENABLED="0",
            GOWORK="off",
            GOFLAGS="-modcacherw",
            GOMODCACHE=str(bench.cache.go_modules),
            GOCACHE=str(bench.cache.go_build),
        )

    def step(self) -> Step:
        """Return the step that builds it."""
        return Step(
            self.name,
            (self.module, *self.command),
            lambda bench: self.compile(bench, bench.out),
            minutes=self.minutes,
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

k3d = GoTool(
    "k3d",
    ("github.com/k3d-io/k3d/v5",),
    minutes=0.5,
    # Unset, it calls itself v5-dev and wants helper images tagged "latest".
    variables={"github.com/k3d-io/k3d/v5/version.Version": f"v{K3D}"},
).step()

jaeger = GoTool(
    "jaeger",
    ("github.com/jaegertracing/jaeger/cmd/jaeger",),
    minutes=3,
    variables={"github.com/jaegertracing/jaeger/internal/version.latestVersion": f"v{JAEGER}"},
).step()

collector = GoTool("collector", (".",), minutes=1, variables={}).step()

_pulumi = GoTool(
    "pulumi",
    ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
    minutes=3.5,
    variables={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": PULUMI},
)
_language_host = GoTool(
    "language-host",
    ("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
    minutes=0.25,
    variables={},
)
_wrapper = LAB / "go" / "pulumi-language-python"
_ENDS_QUIETLY = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
"""First line of what runs the program. The engine ends it by SIGINT, after errors too, and Python
would print a traceback of wherever it then was."""


def _build_pulumi(bench: Workbench) -> None:
    """Put the engine, our wrapper and the language host with its scripts where each is looked for.

    The engine takes a language host beside its own program without a warning; the one on PATH it
    announces with several (sdk v3.259.0 go/common/workspace/plugins.go, getPluginInfoAndPath).
    """
    host = bench.out / "host"
    _pulumi.compile(bench, bench.out)
    _language_host.compile(bench, host)
    python = bench.cache.go_modules / "github.com/pulumi/pulumi/sdk/v3@v3.68.0/python"
    runner = host / "pulumi-language-python-exec"
    runner.write_text(_ENDS_QUIETLY + (python / "cmd" / runner.name).read_text())
    runner.chmod(0o755)
    for script, folder in (
        (python / "dist" / "pulumi-resource-pulumi-python", bench.out),
        (python / "dist" / "pulumi-analyzer-policy-python", bench.out),
        (_wrapper, bench.out),
    ):
        Path(shutil.copy(script, folder)).chmod(0o755)


pulumi = Step(
    "pulumi",
    (
        _pulumi.module,
        _language_host.module,
        _wrapper,
        _ENDS_QUIETLY,
        *_pulumi.command,
        *_language_host.command,
    ),
    _build_pulumi,
    minutes=_pulumi.minutes + _language_host.minutes,
)


def link_tools(cache: Cache, tools: Iterable[Path]) -> None:
    """Make CACHE/bin hold links to exactly these programs."""
    cache.bin.mkdir(parents=True, exist_ok=True)
    wanted = {tool.name: tool for tool in tools}
    for link in cache.bin.iterdir():
        if wanted.get(link.name) != (link.readlink() if link.is_symlink() else None):
            link.unlink()
    for name, tool in wanted.items():
        if not (cache.bin / name).is_symlink():
            (cache.bin / name).symlink_to(tool)
