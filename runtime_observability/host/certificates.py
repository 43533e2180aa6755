"""Reads the certificates and keys in the settings, which may be files of this machine."""

from __future__ import annotations

from pathlib import Path

from runtime_observability.core.problem import Problem, ProblemsError
from runtime_observability.core.settings.exporter import PEM, Exporter
from runtime_observability.core.settings.model import Settings

_FIELDS = {"ca_file": "caFile", "client_cert": "clientCert", "client_key": "clientKey"}


def with_texts(settings: Settings, folder: Path) -> Settings:
    """``settings`` whose exporters and trace store have the texts of their certificates and keys.

    A relative path is below ``folder``, the project's. Raises ProblemsError for every file that
    cannot be used.
    """
    problems: list[Problem] = []
    exporters = tuple(
        _with_texts(exporter, f"exporters.{number}.tls", folder, problems)
        for number, exporter in enumerate(settings.exporters)
    )
    of_store = settings.trace_store_ca_file and _text(
        settings.trace_store_ca_file, "traceStoreCaFile", folder, problems
    )
    if problems:
        raise ProblemsError("the certificates in the settings cannot be used", problems)
    return settings.having(exporters, of_store)


def _with_texts(exporter: Exporter, key: str, folder: Path, problems: list[Problem]) -> Exporter:
    texts = {
        field: _text(value, f"{key}.{written}", folder, problems)
        for field, written in _FIELDS.items()
        if (value := str(getattr(exporter.tls, field)))
    }
    return exporter.model_copy(update={"tls": exporter.tls.model_copy(update=texts)})


def _text(value: str, key: str, folder: Path, problems: list[Problem]) -> str:
    """The text that ``value``, of ``key``, is or names; empty, with a problem, for neither."""
    try:
        return value if PEM in value else _read(folder / Path(value).expanduser())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
    # A text that is no PEM may be a key that was pasted without its first line.
    shown = value if len(value.splitlines()) == 1 and len(value) < 256 else "its text"
    cure = "name a PEM file that you may read, or write its text"
    problems.append(Problem(key, f"{shown} cannot be used", str(reason), cure))
    return ""


def _read(path: Path) -> str:
    text = path.read_text(encoding="ascii")
    if PEM not in text:
        raise ValueError("the file has no certificate or key in PEM")
    return text
