"""OpenSearch, which keeps Jaeger's traces, and the Java that runs it.

Built only for what wants it. OpenSearch's own download is on no package registry, but its jars are
in Maven's central repository, which `mvn` knows by itself. Every jar is compared with
lab/opensearch/jars.sha256, and nothing else is taken. A settings file of the user's, with a mirror
or a proxy, applies.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.build import packages
from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.paths import LAB
from lab.pins import PINS

OPENSEARCH = PINS.java["opensearch"]
JAVA_HOME = "/usr/lib/jvm/default-java"
"""In the tree of packages: Debian's name for the release of Java that it has."""
OPTIONS = (
    # A compiler less: half of the CPU time of a start.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # As in bin/opensearch and config/jvm.options of OpenSearch's own distribution.
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.allocator.numDirectArenas=0",
    "-Dlog4j2.disable.jmx=true",
    "-Djna.nosys=true",
    "-Dopensearch.distribution.type=tar",
    "-Dopensearch.bundled_jdk=false",
)
# As the official image has them: the environment's come after these.
_OPTIONS_OF_IMAGE = ("-Xms1g", "-Xmx1g", *OPTIONS)
MAIN = "org.opensearch.bootstrap.OpenSearch"
IMAGE = "image"
"""The folder of what only a container has: its entrypoint and its configuration."""
_FOLDER = LAB / "opensearch"
_MODULE = "modules/transport-netty4"
_LOCK = "jars.sha256"
# The jar does not carry it, and OpenSearch loads no module without one.
_DESCRIPTOR = f"""\
name=transport-netty4
description=HTTP and the transport between nodes
version={OPENSEARCH}
opensearch.version={OPENSEARCH}
java.version=11
classname=org.opensearch.transport.Netty4Plugin
has.native.controller=false
"""
_COMMAND = (
    "mvn",
    "--batch-mode",
    "--no-transfer-progress",
    *(f"-D{name}={PINS.java[name]}" for name in ("opensearch", "log4j")),
    "-DincludeScope=runtime",
    "org.apache.maven.plugins:maven-dependency-plugin:"
    f"{PINS.java['maven-dependency-plugin']}:copy-dependencies",
)


def locked(text: str) -> dict[str, str]:
    """The SHA-256 of each jar by its path, from a file as `sha256sum` writes it."""
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line)
    return {path: digest for digest, path in pairs}


def install(jars: Path, lock: Mapping[str, str], home: Path) -> None:
    """Put the jars where `lock` has them; LabError unless they are exactly those of `lock`."""
    wanted = {Path(path).name: path for path in lock}
    found = {jar.name: jar for jar in jars.glob("*.jar")}
    if found.keys() != wanted.keys():
        names = ", ".join(sorted(found.keys() ^ wanted.keys()))
        raise LabError(f"Maven's jars are not those of {_LOCK}, which differs in {names}")
    for name, jar in found.items():
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        if digest != lock[wanted[name]]:
            raise LabError(
                f"{name}: checksum mismatch: expected {lock[wanted[name]]}, got {digest}"
            )
        place = home / wanted[name]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(jar, place)


def refuse_a_machine_without_maven() -> None:
    """Raise LabError where nothing can fetch the jars."""
    if not shutil.which("mvn"):
        raise LabError(
            "OpenSearch is fetched by Maven, and this machine has no mvn: install the package maven"
        )


def _build_opensearch(bench: Workbench) -> None:
    refuse_a_machine_without_maven()
    project, jars = bench.out / "project", bench.out / "jars"
    project.mkdir()
    shutil.copy(_FOLDER / "pom.xml", project)
    # A repository of its own: what the user's holds was not downloaded for this.
    repository = bench.out / "repository"
    bench.run(
        [*_COMMAND, f"-Dmaven.repo.local={repository}", f"-DoutputDirectory={jars}"], cwd=project
    )
    install(jars, locked((_FOLDER / _LOCK).read_text(encoding="utf-8")), bench.out)
    (bench.out / _MODULE / "plugin-descriptor.properties").write_text(_DESCRIPTOR, encoding="utf-8")
    shutil.copy(_FOLDER / "plugin-security.policy", bench.out / _MODULE)
    for name in ("config", IMAGE):
        shutil.copytree(_FOLDER / name, bench.out / name)
    (bench.out / IMAGE / "jvm.options").write_text("\n".join(_OPTIONS_OF_IMAGE), encoding="utf-8")
    # Empty, but OpenSearch would create them, and its user may not.
    for name in ("bin", "plugins"):
        (bench.out / name).mkdir()
    for folder in (project, jars, repository):
        shutil.rmtree(folder)


opensearch = Step(
    "opensearch",
    (_FOLDER, Path(__file__), *_COMMAND),
    _build_opensearch,
    minutes=1,
)
# The entrypoint needs a shell and its tools; curl is in the official image too.
java = packages.tree("java", "default-jre-headless", "bash", "coreutils", "curl")
