"""Reads the certificates and keys in the settings, which may be files of this machine.

What the collector and Jaeger stop at is refused here: when one of them does, the old one is gone.
"""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runtime_observability.core import validity
from runtime_observability.core.problem import Problem, ProblemsError
from runtime_observability.core.settings.exporter import HIDDEN, PEM, Exporter
from runtime_observability.core.settings.model import Settings
from runtime_observability.core.settings.rule import RuleError

_KEY = "clientKey"
_FIELDS = {"ca_file": "caFile", "client_cert": "clientCert", "client_key": _KEY}
_OF_STORE = "traceStoreCaFile"
_SOON = timedelta(days=7)
_SEEN = "its text cannot be used"
_CURE = "name a PEM file that you may read, or write its text"


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
        settings.trace_store_ca_file, _OF_STORE, folder, problems
    )
    if problems:
        raise ProblemsError("the certificates in the settings cannot be used", problems)
    return settings.having(exporters, of_store)


def refuse_invalid_today(settings: Settings) -> list[Problem]:
    """A problem for each client certificate that is not valid now; ``settings`` have texts."""
    now = datetime.now(UTC)
    return [
        Problem(
            key,
            _what_is_wrong(own, now),
            "a destination that asks for it refuses it",
            "name a new one, and its key in clientKey"
            if own.ends < now
            else "set this machine's clock if that is past, or name another",
        )
        for key, own in _client_certificates(settings).items()
        if not own.at(now)
    ]


def warnings(settings: Settings) -> list[str]:
    """A line for each key whose certificates are not valid now, or soon will not be;
    ``settings`` have texts."""
    now = datetime.now(UTC)
    return [
        *(
            f"{key}: {told}: what it has signed is refused{' then' if last.at(now) else ''}"
            for key, last in _last_authorities(settings, now).items()
            if (told := _what_is_wrong(last, now))
        ),
        *(
            f"{key}: {told}: a destination that asks for it refuses it then"
            for key, own in _client_certificates(settings).items()
            if (told := _what_is_wrong(own, now))
        ),
    ]


def _last_authorities(settings: Settings, now: datetime) -> dict[str, validity.Validity]:
    """Of each key's authorities the one that is valid the longest, by the key."""
    texts = {_OF_STORE: settings.trace_store_ca_file} | {
        f"exporters.{number}.tls.caFile": exporter.tls.ca_file
        for number, exporter in enumerate(settings.exporters)
    }
    return {
        key: max(found, key=lambda one: (one.at(now), one.ends))
        for key, text in texts.items()
        if (found := validity.of(text))
    }


def _client_certificates(settings: Settings) -> dict[str, validity.Validity]:
    """The first one of each key; those behind it are of its authorities."""
    return {
        f"exporters.{number}.tls.clientCert": found[0]
        for number, exporter in enumerate(settings.exporters)
        if (found := validity.of(exporter.tls.client_cert))
    }


def _what_is_wrong(found: validity.Validity, now: datetime) -> str:
    """Empty for one that is valid ``now`` and for a while."""
    if found.ends < now:
        return f"its certificate expired at {validity.shown(found.ends)}"
    if found.begins > now:
        return f"its certificate is valid from {validity.shown(found.begins)} on"
    if found.ends < now + _SOON:
        return f"its certificate expires at {validity.shown(found.ends)}"
    return ""


def _is_certificate(block: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _with_texts(exporter: Exporter, key: str, folder: Path, problems: list[Problem]) -> Exporter:
    before = len(problems)
    texts = {
        field: _text(value, f"{key}.{written}", folder, problems)
        for field, written in _FIELDS.items()
        if (value := str(getattr(exporter.tls, field)))
    }
    tls = exporter.tls.model_copy(update=texts)
    pair = (tls.client_cert, tls.client_key)
    if all(pair) and HIDDEN not in pair and len(problems) == before:
        try:
            _refuse_a_pair_that_does_not_fit(*pair)
        except RuleError as error:
            problems.append(Problem(f"{key}.{_KEY}", _SEEN, str(error), error.cure))
    return exporter.model_copy(update={"tls": tls})


def _text(value: str, key: str, folder: Path, problems: list[Problem]) -> str:
    """The text that ``value``, of ``key``, is or names; empty, with a problem, for neither."""
    if value == HIDDEN:
        return value
    try:
        text = value if PEM in value else _read(folder / Path(value).expanduser())
        (_refuse_no_key if key.endswith(_KEY) else _refuse_no_certificate)(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        cure = getattr(error, "cure", "") or _CURE
    else:
        return text
    # A text that is no PEM may be a key that was pasted without its first line.
    shown = value if len(value.splitlines()) == 1 and len(value) < 256 else "its text"
    problems.append(Problem(key, f"{shown} cannot be used", str(reason), cure))
    return ""


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RuleError(
            "the file is no text", "if it is DER, `openssl x509 -inform der` makes PEM of it"
        ) from None
    if PEM not in text:
        raise RuleError("the file has no certificate or key in PEM")
    return text


def _refuse_no_certificate(text: str) -> None:
    if "PRIVATE KEY" in text:
        raise RuleError("it has a private key", "name certificates alone")
    if not any(map(_is_certificate, validity.CERTIFICATE.findall(text))):
        raise RuleError("it has no certificate that can be read")


def _refuse_no_key(text: str) -> None:
    if "PRIVATE KEY" not in text:
        raise RuleError("it has no private key", "name the file of the key")
    if "ENCRYPTED" in text:
        raise RuleError(
            "the key has a passphrase, which the collector cannot ask for",
            "`openssl pkey -in FILE -out OTHER` writes it without one",
        )


def _refuse_a_pair_that_does_not_fit(certificate: str, key: str) -> None:
    """OpenSSL reads both from files alone: they are this user's, and gone at once."""
    with tempfile.TemporaryDirectory() as folder:
        certificates, keys = Path(folder, "certificates"), Path(folder, "keys")
        for file, text in ((certificates, certificate), (keys, key)):
            file.touch(mode=0o600)
            file.write_text(text, encoding="utf-8")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificates, keys, "")
        except ssl.SSLError as error:
            mismatch = error.reason == "KEY_VALUES_MISMATCH"
            raise RuleError(
                "it is not the key of clientCert" if mismatch else "it is no key that can be read",
                "name the key that belongs to the certificate",
            ) from None
