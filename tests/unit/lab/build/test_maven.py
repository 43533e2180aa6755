"""The jars of OpenSearch, Elasticsearch and Cassandra: exactly those that a lock file has."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lab.build import cassandra, elasticsearch
from lab.build.maven import install, locked
from lab.build.opensearch import OPENSEARCH
from lab.errors import LabError
from lab.paths import LAB
from lab.pins import PINS


def jar(folder: Path, name: str, content: bytes = b"jar") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_jars_go_where_the_lock_has_them(tmp_path: Path) -> None:
    lock = locked(f"{jar(tmp_path / 'jars', 'a.jar')}  lib/a.jar\n")
    install(tmp_path / "jars", lock, tmp_path / "home")
    assert (tmp_path / "home/lib/a.jar").read_bytes() == b"jar"


@pytest.mark.parametrize("name", ["b.jar", "a-2.jar"])
def test_another_set_of_jars_is_refused(tmp_path: Path, name: str) -> None:
    lock = locked(f"{jar(tmp_path / 'jars', 'a.jar')}  lib/a.jar\n")
    jar(tmp_path / "jars", name)
    with pytest.raises(LabError, match=f"differs in {name}"):
        install(tmp_path / "jars", lock, tmp_path / "home")
    with pytest.raises(LabError, match=r"differs in a\.jar"):
        install(tmp_path / "none", lock, tmp_path / "home")


def test_a_jar_with_another_content_is_refused(tmp_path: Path) -> None:
    jar(tmp_path / "jars", "a.jar", b"other")
    with pytest.raises(LabError, match=r"a\.jar: checksum mismatch: expected 00, got"):
        install(tmp_path / "jars", {"lib/a.jar": "00"}, tmp_path / "home")


def test_the_lock_is_of_the_pinned_release() -> None:
    lock = locked((LAB / "opensearch" / "jars.sha256").read_text())
    assert f"lib/opensearch-{OPENSEARCH}.jar" in lock
    assert f"modules/transport-netty4/transport-netty4-client-{OPENSEARCH}.jar" in lock
    assert f"lib/log4j-core-{PINS.java['log4j']}.jar" in lock
    assert all(len(digest) == 64 for digest in lock.values())


def test_the_lock_of_elasticsearch_is_of_the_pinned_release() -> None:
    lock = locked((LAB / "elasticsearch" / "jars.sha256").read_text())
    release = elasticsearch.ELASTICSEARCH
    assert f"lib/elasticsearch-{release}.jar" in lock
    assert f"modules/transport-netty4/transport-netty4-{release}.jar" in lock
    assert all(len(digest) == 64 for digest in lock.values())


def test_the_lock_of_cassandra_has_what_starts_it() -> None:
    lock = locked((LAB / "cassandra" / "jars.sha256").read_text())
    assert f"lib/cassandra-all-{cassandra.CASSANDRA}.jar" in lock
    (agent,) = (text for text in cassandra.arguments("", "", "", 1) if "agent" in text)
    assert agent.removeprefix("-javaagent:/") in lock
    assert all(len(digest) == 64 for digest in lock.values())
