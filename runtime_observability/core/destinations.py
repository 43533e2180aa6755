"""The collector's part of ``exporters``: an exporter and a pipeline of its own per destination.

No destination can cost another one a span: each has its own queue, which drops what does not fit
and never blocks (``block_on_overflow``), and which is so small that it leaves the collector's
memory to Jaeger's. Secrets are read from uploaded files: no configuration has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime_observability.core import compatibility
from runtime_observability.core.settings.exporter import Exporter, Signal
from runtime_observability.core.versions import Version

FOLDER = "/etc/otelcol"
"""Of the collector's configuration in its container."""
_SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_FILTERED = {"traces": "span", "metrics": "metric", "logs": "log_record"}
"""What the filter processor drops of a signal (contrib processor/filterprocessor/README.md)."""
_MIB = 1024 * 1024
LARGEST_MESSAGE_MIB = 20
"""What the collector's receivers take: confighttp's own limit, and here gRPC's too, which is 4."""
_LARGEST_EXPORT = 3_500_000
"""Bytes of a message that is sent on: receivers of OTLP over gRPC take 4 MiB unless told
otherwise. Jaeger's over HTTP takes 20, and messages of one size are enough."""
_SHARE_OF_MEMORY = 16
"""All queues of destinations together have this part of the collector's memory, as bytes of
protobuf. In memory a span takes four times as much: with twice this share, four dead destinations
had the memory limiter refuse spans of a burst of 70,000 a second, for Jaeger too."""
MIB_FOR_A_QUEUE = 64
"""Of the collector's memory, for each signal of each destination: its queue then has 4 MiB, room
for a few of the largest batches."""
_REQUESTS_AT_ONCE = 2
"""Each holds a message in memory while a slow destination takes its time."""
QUEUE_FOLDER = "/var/lib/otelcol/file_storage"
"""Of the queues that are on disk, in the collector's container; file_storage's own default."""
DISK_QUEUE_MIB = 512
"""What a queue on disk holds, in MiB of protobuf: some 900,000 spans, if each takes 600 bytes."""
_FILE_STORAGE = "file_storage"
_SPANS_AT_ONCE = 1024
"""In a batch of a destination's pipeline: a queue refuses what is larger than the whole queue."""


def add(
    document: dict[str, Any],
    version: Version,
    exporters: Sequence[Exporter],
    *,
    memory_mib: int,
    allowed_origins: Sequence[str] = (),
) -> None:
    """Put ``exporters`` and what receives every signal into the collector's ``document``."""
    protocols = document["receivers"]["otlp"]["protocols"]
    if allowed_origins:
        protocols["http"]["cors"] = {"allowed_origins": list(allowed_origins)}
    takes_everything = compatibility.TAKES_EVERYTHING.at(version)
    if takes_everything:
        protocols["grpc"]["max_recv_msg_size_mib"] = LARGEST_MESSAGE_MIB
        (to_jaeger,) = document["exporters"].values()
        to_jaeger["sending_queue"]["batch"] = _batches()
    queues = sum(len(set(exporter.signals)) for exporter in exporters)
    queue_bytes = memory_mib * _MIB // _SHARE_OF_MEMORY // max(1, queues)
    if exporters:
        document["processors"]["batch/destinations"] = {
            **document["processors"]["batch"],
            "send_batch_size": _SPANS_AT_ONCE,
            "send_batch_max_size": _SPANS_AT_ONCE,
        }
    for exporter in exporters:
        _add(document, version, exporter, queue_bytes)
    if any(exporter.queue == "disk" for exporter in exporters):
        document["extensions"][_FILE_STORAGE] = _files_of_queues()
        document["service"]["extensions"].append(_FILE_STORAGE)
    if takes_everything:
        _accept_every_signal(document)


def _batches() -> dict[str, Any]:
    """Splits what is larger; waits for nothing, because the batch processor has waited."""
    return {
        "sizer": "bytes",
        "flush_timeout": "10ms",
        "min_size": 0,
        "max_size": _LARGEST_EXPORT,
    }


def _files_of_queues() -> dict[str, Any]:
    """One file for each queue, which shrinks once its queue is all but empty.

    ``fsync`` is for a power cut (filestorage README.md): with 5 of 7 ways to spoil a file the
    collector 0.159.0 did not start, and ``recreate`` helped with none of them. There is no
    ``max_size``: in the one run with a full file, a queue lost 5,120 spans that it had taken, and
    counted none of them.
    """
    return {
        "directory": QUEUE_FOLDER,
        "fsync": True,
        "compaction": {
            "directory": QUEUE_FOLDER,
            "on_rebound": True,
            "cleanup_on_start": True,
        },
    }


def _accept_every_signal(document: dict[str, Any]) -> None:
    """Without a pipeline for a signal its sender gets 404 or Unimplemented, and complains."""
    pipelines = document["service"]["pipelines"]
    unused = [
        signal
        for signal in _SIGNALS
        if not any(pipeline.partition("/")[0] == signal for pipeline in pipelines)
    ]
    if unused:
        document["exporters"]["nop"] = {}
    for signal in unused:
        pipelines[signal] = {"receivers": ["otlp"], "exporters": ["nop"]}


def _add(document: dict[str, Any], version: Version, exporter: Exporter, queue_bytes: int) -> None:
    label = exporter.label
    kinds = {
        "grpc": compatibility.OTLP_EXPORTER.at(version),
        "http": compatibility.OTLP_HTTP_EXPORTER.at(version),
    }
    name = f"{kinds[exporter.protocol]}/{label}"
    document["exporters"][name] = _exporter(exporter, queue_bytes)
    processors = ["memory_limiter"]
    if exporter.only:
        document["processors"][f"filter/{label}"] = _filter(exporter)
        processors.append(f"filter/{label}")
    for signal in _SIGNALS:
        if signal not in exporter.signals:
            continue
        own = list(processors)
        if signal == "traces" and exporter.sampling_per_million < 1_000_000:
            sampler = f"probabilistic_sampler/{label}"
            document["processors"][sampler] = {
                **compatibility.SAMPLER_OPTIONS.at(version),
                "sampling_percentage": exporter.sampling_per_million / 10_000,
            }
            own.append(sampler)
        document["service"]["pipelines"][f"{signal}/{label}"] = {
            "receivers": ["otlp"],
            "processors": [*own, "batch/destinations"],
            "exporters": [name],
        }


def _exporter(exporter: Exporter, queue_bytes: int) -> dict[str, Any]:
    options: dict[str, Any] = {"endpoint": exporter.endpoint}
    if tls := _tls(exporter):
        options["tls"] = tls
    if exporter.headers:
        options["headers"] = {
            name: f"${{file:{path}}}" for name, path in _header_files(exporter).items()
        }
    on_disk = exporter.queue == "disk"
    return options | {
        "compression": exporter.compression,
        "sending_queue": {
            **({"storage": _FILE_STORAGE} if on_disk else {}),
            "sizer": "bytes",
            "queue_size": DISK_QUEUE_MIB * _MIB if on_disk else queue_bytes,
            "num_consumers": _REQUESTS_AT_ONCE,
            "block_on_overflow": False,
            "batch": _batches(),
        },
        "retry_on_failure": {
            "initial_interval": "500ms",
            "max_interval": "30s",
            "max_elapsed_time": "0s" if on_disk else "300s",  # 0s: for ever
        },
    }


def _tls(exporter: Exporter) -> dict[str, Any]:
    if exporter.tls.insecure:
        return {"insecure": True}
    return {
        key: path
        for key, path, text in (
            ("ca_file", _pem(exporter, "ca"), exporter.tls.ca_file),
            ("cert_file", _pem(exporter, "client"), exporter.tls.client_cert),
            ("key_file", _pem(exporter, "client-key"), exporter.tls.client_key),
        )
        if text
    }


def _filter(exporter: Exporter) -> dict[str, Any]:
    """Drops what comes from no service of ``only``."""
    others = " and ".join(
        f'resource.attributes["service.name"] != "{service}"' for service in exporter.only
    )
    return {
        "error_mode": "ignore",
        **{
            signal: {_FILTERED[signal]: [others]}
            for signal in _SIGNALS
            if signal in exporter.signals
        },
    }


def _pem(exporter: Exporter, part: str) -> str:
    return f"{FOLDER}/{exporter.label}-{part}.pem"


def _header_files(exporter: Exporter) -> dict[str, str]:
    """Header → the file that has its value; no label has a dot, so no two have one file."""
    return {name: f"{FOLDER}/{exporter.label}.{name.lower()}.header" for name in exporter.headers}


def files(exporters: Sequence[Exporter]) -> dict[str, str]:
    """The collector's further files by path: certificates, whose texts have been read."""
    texts = {
        _pem(exporter, part): text
        for exporter in exporters
        for part, text in (("ca", exporter.tls.ca_file), ("client", exporter.tls.client_cert))
    }
    return {path: text for path, text in texts.items() if text}


def secret_files(exporters: Sequence[Exporter]) -> dict[str, str]:
    """The files with keys and the values of headers, by path.

    ``$$`` is a dollar: the collector expands what it reads from a file too.
    """
    found: dict[str, str] = {}
    for exporter in exporters:
        if exporter.tls.client_key:
            found[_pem(exporter, "client-key")] = exporter.tls.client_key
        for name, path in _header_files(exporter).items():
            found[path] = exporter.headers[name].replace("$", "$$")
    return found
