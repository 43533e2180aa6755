"""Cassandra, which keeps Jaeger's traces in some tests.

Built only for what wants it. It needs a Java of release 11 or 17.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.build import maven
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
AGENT = "lib/jamm-*.jar"
"""Measures objects: without it Cassandra does not start."""
MAIN = "org.apache.cassandra.service.CassandraDaemon"
PINS_OF_POM = ("cassandra",)
_FOLDER = LAB / "cassandra"


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
