"""The node image that k3d takes for k3s: Debian, the built Kubernetes, and our k3s as /bin/k3s.

Its last step leaves `rootfs.tar`; `docker import` with `CHANGES` makes the image of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
import zipapp
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.builds import KUBERNETES, containerd, kubernetes
from lab.paths import LAB
from lab.steps import LabError, Step, Workbench

TAG = f"runtime-observability-lab/k3s:v{KUBERNETES}-k3s1"
SEARCH_PATH = "/var/lib/rancher/k3s/data/cni:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/bin"
CHANGES = (
    f"ENV PATH={SEARCH_PATH}",
    "ENV KUBECONFIG=/etc/rancher/k3s/k3s.yaml",
    # What k3s' own ctr knows by itself; `k3d image import --mode direct` calls it plainly.
    "ENV CONTAINERD_ADDRESS=/run/k3s/containerd/containerd.sock",
    "ENV CONTAINERD_NAMESPACE=k8s.io",
    # k3s' own (k3s-io/k3s package/Dockerfile); containerd can't work on the image's overlay.
    "VOLUME /var/lib/kubelet",
    "VOLUME /var/lib/rancher/k3s",
    "VOLUME /var/lib/cni",
    "VOLUME /var/log",
    'ENTRYPOINT ["/bin/k3s"]',
    'CMD ["agent"]',
)
PAUSE_IMAGE = "docker.io/rancher/mirrored-pause:3.6"
BUSYBOX_IMAGE = "docker.io/library/busybox:1.35"
PACKAGES = (
    "busybox-static", "ca-certificates", "conntrack", "containernetworking-plugins", "etcd-server",
    "iproute2", "iptables", "openssl", "procps", "python3", "runc",
)  # fmt: skip
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CNI_PLUGINS = {"bridge", "host-local", "loopback", "portmap"}
UNWANTED = (
    "dev/*", "var/cache/*", "var/lib/apt/lists/*", "var/log/*", "usr/share/locale/*",
    "usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/lintian/*",
    "usr/lib/python3*/test", "usr/lib/python3*/__pycache__",
)  # fmt: skip


@dataclass(frozen=True)
class Archive:
    """Where this machine's apt gets its packages from."""

    site: str
    release: str
    components: tuple[str, ...]

    @classmethod
    def of_this_machine(cls, bench: Workbench) -> Archive:
        """Read apt's own first source for the release that this machine runs."""
        bench.run(["apt-get", "update"])  # before it, apt names no source
        command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(SITE) $(COMPONENT)"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        sources = [line.split() for line in told.splitlines() if line.startswith(f"{release} ")]
        if not sources:
            raise LabError(f"apt has no source for {release}, the release that this machine runs")
        site = sources[0][1]
        components = {component for _, other, component in sources if other == site}
        return cls(site, release, tuple(sorted(components & {"main", "universe"})))


def _build_base(bench: Workbench) -> None:
    if os.geteuid() != 0:
        raise LabError("debootstrap needs root, to make a Debian tree with its owners and modes")
    archive = Archive.of_this_machine(bench)
    tree = bench.out / "tree"
    # A mount namespace of its own: whatever ends it, none of its mounts stays on the host.
    bench.run(
        ["unshare", "--mount", "debootstrap", "--variant=minbase",
         f"--components={','.join(archive.components)}", f"--include={','.join(PACKAGES)}",
         archive.release, tree, archive.site],
    )  # fmt: skip
    unwanted = [path for pattern in UNWANTED for path in tree.glob(pattern)]
    plugins = (tree / "usr/lib/cni").iterdir()
    for path in [*unwanted, *(plugin for plugin in plugins if plugin.name not in CNI_PLUGINS)]:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    # k3d 5.9.0's entrypoint traps SIGTERM by that name, which dash refuses.
    (tree / "usr/bin/sh").unlink()
    (tree / "usr/bin/sh").symlink_to("bash")
    bench.run(["tar", "--sort=name", "-C", tree, "-cf", bench.out / "base.tar", "."])
    shutil.rmtree(tree)


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


def _image(reference: str, layer: bytes, command: list[str]) -> dict[str, bytes]:
    """The files of one image in an archive as `docker save` writes it."""
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }).encode()  # fmt: skip
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = {"Config": name, "RepoTags": [reference], "Layers": [f"{digest}.tar"]}
    return {name: config, f"{digest}.tar": layer, "manifest.json": json.dumps([manifest]).encode()}


def _build_node(bench: Workbench) -> None:
    tree, programs = bench.out / "tree", bench.out / "tree/usr/local/bin"
    images = tree / "var/lib/rancher/k3s/agent/images"
    for folder in (programs, images, tree / "usr/bin"):
        folder.mkdir(parents=True)
    for step in (kubernetes, containerd):
        for program in bench.needs[step.name].iterdir():
            shutil.copy(program, programs)
    sources = shutil.ignore_patterns("__pycache__")
    shutil.copytree(LAB / "node" / "k3s", bench.out / "app" / "k3s", ignore=sources)
    zipapp.create_archive(
        bench.out / "app", tree / "usr/bin/k3s", "/usr/bin/python3", main="k3s.main:main"
    )
    pause = bench.out / "pause"
    bench.run(["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", pause, "main.go"],
              cwd=LAB / "node" / "pause", CGO_ENABLED="0", GO111MODULE="off")  # fmt: skip
    base = bench.needs["node-base"] / "base.tar"
    busybox = bench.out / "busybox"
    with tarfile.open(base) as tar, busybox.open("wb") as file:
        shutil.copyfileobj(tar.extractfile("./usr/bin/busybox") or io.BytesIO(), file)
    busybox.chmod(0o755)
    for name, reference, files, command in (
        ("pause", PAUSE_IMAGE, [(_entry("pause"), pause.read_bytes())], "/pause"),
        ("busybox", BUSYBOX_IMAGE, _busybox_files(busybox), "sh"),
    ):
        content = _image(reference, _layer(files), [command])
        entries = ((_entry(path, 0o644), data) for path, data in content.items())
        (images / f"{name}.tar").write_bytes(_layer(entries))
    rootfs = bench.out / "rootfs.tar"
    shutil.copyfile(base, rootfs)
    added = sorted(path.relative_to(tree) for path in tree.rglob("*") if path.is_file())
    bench.run(["tar", "--owner=0", "--group=0", "-C", tree, "-rf", rootfs, *added])
    for folder in (tree, bench.out / "app"):
        shutil.rmtree(folder)


node_base = Step("node-base", PACKAGES + UNWANTED + ("sh is bash",), _build_base, minutes=1.5)
node = Step(
    "node",
    (LAB / "node" / "k3s", LAB / "node" / "pause", LAB / "node" / "image.py", *CHANGES),
    _build_node,
    needs=(node_base, kubernetes, containerd),
)
