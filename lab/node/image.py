"""Node images that k3d runs as k3s: Debian, a built Kubernetes, and our k3s as /bin/k3s.

The base and our own files are the same in all images; `write` combines them with the programs.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import tempfile
import zipapp
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from lab.build import go_tool
from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.machine import apt
from lab.node import debian
from lab.paths import LAB
from runtime_observability.core.compatibility import SANDBOX_IMAGE
from runtime_observability.host.docker import architecture

INSTRUCTIONS = (
    # As seen in a node of v1.34.3+k3s1. Our programs are in /bin, like those of k3s: a containerd
    # in /usr/local/bin is started instead of the image's own.
    "ENV PATH=/var/lib/rancher/k3s/data/cni:/usr/local/sbin:/usr/local/bin:"
    "/usr/sbin:/usr/bin:/sbin:/bin:/bin/aux",
    "ENV KUBECONFIG=/etc/rancher/k3s/k3s.yaml",
    # The ctr of k3s has these built in; `k3d image import --mode direct` runs it without options.
    "ENV CONTAINERD_ADDRESS=/run/k3s/containerd/containerd.sock",
    "ENV CONTAINERD_NAMESPACE=k8s.io",
    # As in k3s (k3s-io/k3s package/Dockerfile); containerd does not work on the image's overlay.
    "VOLUME /var/lib/kubelet",
    "VOLUME /var/lib/rancher/k3s",
    "VOLUME /var/lib/cni",
    "VOLUME /var/log",
    'ENTRYPOINT ["/bin/k3s"]',
    'CMD ["agent"]',
)
PAUSE_IMAGES = SANDBOX_IMAGE.values  # every node has the one that its release uses
BUSYBOX_IMAGES = ["docker.io/library/busybox:1.35"]
PACKAGES = (
    "busybox-static", "ca-certificates", "conntrack", "containernetworking-plugins", "iproute2",
    "iptables", "mount", "openssl", "procps", "python3", "python3-yaml", "runc",
)  # fmt: skip
UNWANTED = (
    "dev/*", "var/cache/*", "var/log/*", "usr/share/locale/*", "usr/share/doc/*",
    "usr/share/man/*", "usr/share/info/*", "usr/share/lintian/*", "usr/lib/python3*/test",
)  # fmt: skip
CNI = "usr/lib/cni"
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
# k3d 5.9.0's entrypoint traps SIGTERM by that name, which dash does not know.
LINKS = {"usr/bin/sh": "bash"}


def _build_base(bench: Workbench) -> None:
    downloads = bench.out / "apt"
    packages = apt.fetch(
        bench,
        ("?essential", *PACKAGES),
        downloads,
        # Else another package of Debian 12 is chosen, which would merge the folders, with Perl.
        optional=("usr-is-merged",),
        installed=apt.NOTHING,
    )
    with (bench.out / "base.tar").open("wb") as tar:
        debian.write(packages, _is_unwanted, LINKS, tar)
    shutil.rmtree(downloads)


def _is_unwanted(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return debian.is_within(name, UNWANTED) or (folder == CNI and file not in CNI_PLUGINS)


def _layer(files: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in files:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _entry(
    name: str, mode: int = 0o755, kind: bytes = tarfile.REGTYPE, to: str = ""
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.linkname = mode, kind, to
    return info


def _busybox_files(program: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for folder, mode in (("tmp", 0o1777), ("root", 0o700)):
        yield _entry(folder, mode, tarfile.DIRTYPE), b""
    yield _entry("etc/passwd", 0o644), b"root:x:0:0:root:/root:/bin/sh\n"
    yield _entry("bin/busybox"), program.read_bytes()
    listed = subprocess.check_output([program, "--list"], text=True).split()
    for applet in sorted(set(listed) - {"busybox"}):
        yield _entry(f"bin/{applet}", kind=tarfile.SYMTYPE, to="busybox"), b""


def _image(references: list[str], layer: bytes, command: list[str]) -> dict[str, bytes]:
    """Return the files of one image's archive, in the format of `docker save`."""
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": architecture(platform.machine()), "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }).encode()  # fmt: skip
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = {"Config": name, "RepoTags": references, "Layers": [f"{digest}.tar"]}
    return {name: config, f"{digest}.tar": layer, "manifest.json": json.dumps([manifest]).encode()}


def _build_files(bench: Workbench) -> None:
    images = bench.out / "var/lib/rancher/k3s/agent/images"
    images.mkdir(parents=True)
    (bench.out / "usr/bin").mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        app, pause, busybox = (Path(scratch, name) for name in ("app", "pause", "busybox"))
        sources = shutil.ignore_patterns("__pycache__")
        shutil.copytree(LAB / "node" / "k3s", app / "k3s", ignore=sources)
        k3s = bench.out / "usr/bin/k3s"
        zipapp.create_archive(app, k3s, "/usr/bin/python3", main="k3s.main:main")
        go_tool.run(bench, ["build", "-trimpath", "-ldflags", "-s -w", "-o", pause, "main.go"],
                    LAB / "node" / "pause", GO111MODULE="off")  # fmt: skip
        with tarfile.open(bench.needs["node-base"] / "base.tar") as tar, busybox.open("wb") as file:
            shutil.copyfileobj(tar.extractfile("./usr/bin/busybox") or io.BytesIO(), file)
        busybox.chmod(0o755)
        for name, references, files, command in (
            ("pause", PAUSE_IMAGES, [(_entry("pause"), pause.read_bytes())], "/pause"),
            ("busybox", BUSYBOX_IMAGES, _busybox_files(busybox), "sh"),
        ):
            content = _image(references, _layer(files), [command])
            entries = ((_entry(path, 0o644), data) for path, data in content.items())
            (images / f"{name}.tar").write_bytes(_layer(entries))


def write(base: Path, files: Path, programs: Iterable[Path], stream: IO[bytes]) -> None:
    """Write a node's root file system as a tar, from the output folders of its steps."""

    def of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return None if entry.isdir() else entry

    with tarfile.open(fileobj=stream, mode="w|") as tree:
        with tarfile.open(base / "base.tar") as debian:
            for entry in debian:
                tree.addfile(entry, debian.extractfile(entry) if entry.isreg() else None)
        for folder, place in ((files, ""), *((folder, "usr/bin/") for folder in programs)):
            for path in sorted(folder.rglob("*")):
                tree.add(path, f"{place}{path.relative_to(folder)}", False, filter=of_root)


node_base = Step(
    "node-base",
    (*PACKAGES, *UNWANTED, *CNI_PLUGINS, *LINKS.values(), LAB / "node" / "debian.py"),
    _build_base,
    minutes=0.5,
)
node_files = Step(
    "node-files",
    (LAB / "node" / "k3s", LAB / "node" / "pause", LAB / "node" / "image.py", *PAUSE_IMAGES),
    _build_files,
    needs=(node_base,),
)
