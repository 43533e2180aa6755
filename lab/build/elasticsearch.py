"""Elasticsearch, which keeps Jaeger's traces in some tests.

Built only for what wants it. Maven's central repository has its server and the module that speaks
HTTP, but not its launcher: SingleNode.java starts the node. It needs a Java of release 17 or newer.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.build import java_images, maven
from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.errors import LabError
from lab.paths import LAB
from lab.pins import PINS

ELASTICSEARCH = PINS.java["elasticsearch"]
HOME = "/opt/elasticsearch"
"""In its image."""
PINS_OF_POM = ("elasticsearch",)
_JAVA = "17"
_OPTIONS = (
    # A compiler less: half of the CPU time of a start.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # As in SystemJvmOptions.java of Elasticsearch's own launcher.
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.allocator.numDirectArenas=0",
    "-Dlog4j2.disable.jmx=true",
    "-Djna.nosys=true",
    "-Des.distribution.type=tar",
)
_FOLDER = LAB / "elasticsearch"
_LAUNCHER = "SingleNode"
_MODULE = "modules/transport-netty4"
# The jar does not carry it, and Elasticsearch loads no module without one.
_DESCRIPTOR = f"""\
name=transport-netty4
description=HTTP and the transport between nodes
version={ELASTICSEARCH}
elasticsearch.version={ELASTICSEARCH}
java.version={_JAVA}
classname=org.elasticsearch.transport.netty4.Netty4Plugin
modulename=org.elasticsearch.transport.netty4
"""


def arguments(home: str, files: str, heap_mib: int) -> list[str]:
    """Return what starts it on Java; settings may follow, each as ``name=value``.

    ``home`` has the program, and ``files`` is the folder for all that it writes.
    """
    return [
        f"-Xms{heap_mib}m",
        f"-Xmx{heap_mib}m",
        *_OPTIONS,
        f"-Djava.io.tmpdir={files}",
        f"--module-path={home}/{maven.LIBRARY}",
        "--add-modules=ALL-MODULE-PATH",
        "-cp",
        home,
        _LAUNCHER,
        home,
        f"path.data={files}/data",
        f"path.logs={files}",
    ]


def _build_elasticsearch(bench: Workbench) -> None:
    maven.refuse_a_machine_without_maven("Elasticsearch")
    if not shutil.which("javac"):
        raise LabError(
            "the launcher of Elasticsearch is compiled, and this machine has no javac: install the "
            f"package default-jdk-headless, of Java {_JAVA} or newer"
        )
    maven.fetch(bench, _FOLDER, *PINS_OF_POM)
    jars = bench.out / maven.LIBRARY / "*"
    source = _FOLDER / f"{_LAUNCHER}.java"
    bench.run(["javac", "--release", _JAVA, "-cp", jars, "-d", bench.out, source])
    (bench.out / _MODULE / "plugin-descriptor.properties").write_text(_DESCRIPTOR, encoding="utf-8")
    shutil.copytree(_FOLDER / "config", bench.out / "config")
    (bench.out / "plugins").mkdir()


elasticsearch = Step(
    "elasticsearch",
    (_FOLDER, Path(__file__), Path(maven.__file__), *maven.command(PINS.java, *PINS_OF_POM)),
    _build_elasticsearch,
    minutes=1,
)
IMAGE = java_images.of(elasticsearch, ELASTICSEARCH, HOME)
"""For tests alone, which give Java its arguments."""
