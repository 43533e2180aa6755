"""OpenSearch, which keeps Jaeger's traces, and the Java that runs it.

Built only for what wants it. OpenSearch's own download is on no package registry, but its jars are
in Maven's central repository.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.build import maven, packages
from lab.build.steps import Step
from lab.build.workbench import Workbench
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
PINS_OF_POM = ("opensearch", "log4j")
_MODULE = "modules/transport-netty4"
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


def refuse_a_machine_without_maven() -> None:
    """Raise LabError where nothing can fetch the jars."""
    maven.refuse_a_machine_without_maven("OpenSearch")


def _build_opensearch(bench: Workbench) -> None:
    refuse_a_machine_without_maven()
    maven.fetch(bench, _FOLDER, *PINS_OF_POM)
    (bench.out / _MODULE / "plugin-descriptor.properties").write_text(_DESCRIPTOR, encoding="utf-8")
    shutil.copy(_FOLDER / "plugin-security.policy", bench.out / _MODULE)
    for name in ("config", IMAGE):
        shutil.copytree(_FOLDER / name, bench.out / name)
    (bench.out / IMAGE / "jvm.options").write_text("\n".join(_OPTIONS_OF_IMAGE), encoding="utf-8")
    # Empty, but OpenSearch would create them, and its user may not.
    for name in ("bin", "plugins"):
        (bench.out / name).mkdir()


opensearch = Step(
    "opensearch",
    (_FOLDER, Path(__file__), Path(maven.__file__), *maven.command(PINS.java, *PINS_OF_POM)),
    _build_opensearch,
    minutes=1,
)
# The entrypoint needs a shell and its tools; curl is in the official image too.
java = packages.tree("java", "default-jre-headless", "bash", "coreutils", "curl")
