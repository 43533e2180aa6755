"""Cassandra, which keeps Jaeger's traces in some tests.

Built only for what wants it. It needs a Java of release 11 or 17.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePath

from lab.build import java_images, maven
from lab.build.steps import Step
from lab.build.workbench import Workbench
from lab.paths import LAB
from lab.pins import PINS

CASSANDRA = PINS.java["cassandra"]
# As conf/jvm17-server.options and bin/cassandra of Cassandra's own distribution have them.
_EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/java.lang.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.attach/sun.tools.attach",
    "jdk.unsupported/sun.misc",
)
_OPENS = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)
OPTIONS = (
    # A compiler less: half of the CPU time of a start.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "-Dcassandra-foreground=yes",
    *(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTS),
    *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS),
)
MAIN = "org.apache.cassandra.service.CassandraDaemon"
HOME = "/opt/cassandra"
"""In its image."""
PINS_OF_POM = ("cassandra",)
_FOLDER = LAB / "cassandra"


def arguments(home: str, settings: str, files: str, heap_mib: int) -> list[str]:
    """Return what starts it on Java, with the configuration in the file `settings`.

    `home` has the program, and `files` is the folder for all that it writes.
    """
    return [
        f"-Xms{heap_mib}m",
        f"-Xmx{heap_mib}m",
        f"-XX:MaxDirectMemorySize={heap_mib // 2}m",
        *OPTIONS,
        f"-javaagent:{home}/{_agent()}",
        f"-Djava.io.tmpdir={files}",
        f"-Duser.home={files}",
        f"-Dcassandra.config=file://{settings}",
        f"-Dcassandra.storagedir={files}/data",
        f"-Dcassandra.logdir={files}",
        f"-Dlogback.configurationFile={home}/conf/logback.xml",
        "-cp",
        f"{home}/lib/*",
        MAIN,
    ]


def _agent() -> str:
    """Return the jar that measures objects: without it Cassandra does not start."""
    lock = maven.locked((_FOLDER / maven.LOCK).read_text(encoding="utf-8"))
    (agent,) = (path for path in lock if PurePath(path).match("lib/jamm-*.jar"))
    return agent


def _build_cassandra(bench: Workbench) -> None:
    maven.refuse_a_machine_without_maven("Cassandra")
    maven.fetch(bench, _FOLDER, *PINS_OF_POM)
    shutil.copytree(_FOLDER / "conf", bench.out / "conf")


cassandra = Step(
    "cassandra",
    (_FOLDER, Path(__file__), Path(maven.__file__), *maven.command(PINS.java, *PINS_OF_POM)),
    _build_cassandra,
    minutes=1,
)
IMAGE = java_images.of(cassandra, CASSANDRA, HOME)
"""For tests alone, which give Java its arguments and Cassandra its configuration."""
