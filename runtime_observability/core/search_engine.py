"""What is asked of an OpenSearch or Elasticsearch, and what its answers mean. Pure.

It is asked by curl, whose whole configuration it reads from standard input: no secret is an
argument or a variable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from runtime_observability.core import compatibility, validity
from runtime_observability.core.stores import ELASTICSEARCH, OPENSEARCH
from runtime_observability.core.versions import Version

CA_FILE = "/store-ca.pem"
"""Of the certificates to trust, in the container of curl."""
_CONNECT_SECONDS = 10
_SECONDS = 60
_MARK = "runtime-observability-answer"
_OUTCOME = f"\\n{_MARK} %{{http_code}} %{{exitcode}} %{{errormsg}}\\n"
_END = f"{_MARK}-end"
_WITH_MORE = f"{_OUTCOME}%header{{x-elastic-product}}\\n%{{certs}}{_END}\\n"
"""What curl writes after an answer; before 7.84.0 it knows no header, and before 7.88.0 no
certificates (curl docs/cmdline-opts/write-out.md)."""
_ANSWER = re.compile(rf"(.*?)\n{_MARK} (\d+) (\d+) ([^\n]*)\n([^\n]*)\n(.*?){_END}\n", re.DOTALL)
_TOO_LONG = re.compile(r"An HTTP line is larger than (\d+) bytes")
_OTHER_HOST = re.compile(r" match(?:es)? target ")
"""In what curl tells (8.15.0 lib/vtls/openssl.c ossl_verifyhost)."""
_URI_TOO_LONG = 414
"""Of a proxy."""
_OLDEST_WITH_PRODUCT = 8
"""From this major version on Jaeger uses a client that looks at that header (jaeger v1.76.0
internal/storage/elasticsearch/config/config.go; go-elasticsearch v9 elasticsearch.go,
genuineCheckHeader)."""
_TAGLINES = {
    "The OpenSearch Project: https://opensearch.org/": OPENSEARCH,
    "You Know, for Search": ELASTICSEARCH,
}


class UnfitError(Exception):
    """The cluster cannot be used: the text says why, and what to do."""


@dataclass(frozen=True)
class Answer:
    """``code`` is curl's, 0 where there was an answer; ``status`` is of HTTP."""

    body: str
    status: int
    code: int
    error: str
    product: str = ""
    """The header X-Elastic-Product, or any text where curl is too old to tell it."""
    certificates: str = ""
    """PEM, among other lines: the host's own, and then those above it; empty without TLS, or where
    curl is too old to tell them."""


def options(user: str, password: str, *, own_ca: bool) -> str:
    """The lines of curl's configuration that every request to a cluster has."""
    lines = [
        "silent",
        "globoff",
        'noproxy = "*"',  # Jaeger's container has none either
        f"connect-timeout = {_CONNECT_SECONDS}",
        f"max-time = {_SECONDS}",
        f'write-out = "{_OUTCOME}"',
    ]
    if user:
        lines.append(f"user = {quoted(f'{user}:{password}')}")
    if own_ca:
        lines.append(f"cacert = {quoted(CA_FILE)}")
    return "".join(f"{line}\n" for line in lines)


def quoted(text: str) -> str:
    """``text`` as a value in curl's configuration (curl docs/cmdline-opts/config.md)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def requests(
    of_cluster: str, url: str, paths: Sequence[str], method: str = "GET", document: str = ""
) -> str:
    """curl's configuration for one request after the other; ``of_cluster`` are its ``options``,
    and each sends the JSON ``document``, if there is one."""
    kind = 'header = "Content-Type: application/json"\n'
    sent = f"{kind}data = {quoted(document)}\n" if document else ""
    written = f'write-out = "{_WITH_MORE}"\n'  # in place of that of the options
    return "next\n".join(
        f"{of_cluster}{written}{sent}request = {quoted(method)}\nurl = {quoted(url + path)}\n"
        for path in paths
    )


def answers(output: str) -> list[Answer]:
    """Those in curl's ``output``, in the order of the requests."""
    return [
        Answer(body, int(status), int(code), error, *more)
        for body, status, code, error, *more in _ANSWER.findall(output)
    ]


def unreachable(answer: Answer, url: str) -> str:
    """Why there was no answer from ``url``, as curl's exit code tells (man curl, EXIT CODES)."""
    told = answer.error or f"curl exited with {answer.code}"
    match answer.code:
        case 6:
            return f"{url}: containers do not find that host: correct the name, or write an address"
        case 7:
            return f"{url}: nothing answers there: {told}"
        case 28:
            return f"{url}: no answer in time: {told}"
        case 35:
            return f"{url}: it does not speak TLS: {told}: write http:// if it does without"
        case 52 | 56:
            return f"{url}: it ends the connection: {told}: write https:// if it wants TLS"
        case 60 if "expired" in told:
            return (
                f"{url}: its certificate has expired: renew it there, or name today's in "
                "traceStoreCaFile if it is that one"
            )
        case 60 if _OTHER_HOST.search(told):
            return (
                f"{url}: its certificate is for another host: {told}: write in the URL a host that "
                "it names"
            )
        case 60:
            return (
                f"{url}: its certificate is not trusted: {told}: name the one that signed it in "
                "traceStoreCaFile"
            )
        case 77:
            return f"{url}: traceStoreCaFile cannot be used: {told}"
        case _:
            return f"{url}: {told}"


def refuse_a_nameless_certificate(answer: Answer, url: str) -> None:
    """Raises UnfitError where curl has found the host of ``url`` in the certificate's common name:
    Jaeger does not look there (Go crypto/x509 verify.go)."""
    if validity.names_hosts(answer.certificates) is False:
        raise UnfitError(
            f"{url}: its certificate names its host as its common name (CN) alone, which Jaeger "
            "does not read: renew it there with a subject alternative name"
        )


def refuse_another_engine(answer: Answer, store: str, user: str, jaeger: Version) -> None:
    """Raises UnfitError unless the answer to ``GET /`` is that of a ``store`` for ``jaeger``."""
    refuse_a_status(answer, user, "cluster:monitor/main")
    try:
        document = json.loads(answer.body)
        found = _TAGLINES.get(document["tagline"])
        number = str(document["version"]["number"])
        major = int(number.partition(".")[0])
    except (ValueError, LookupError, TypeError):
        found = None
    if found is None:
        raise UnfitError(
            f"it is neither OpenSearch nor Elasticsearch: GET / is answered with "
            f"{answer.body.strip()[:60]!r}"
        )
    if found != store:
        key = {OPENSEARCH: "openSearchUrls", ELASTICSEARCH: "elasticsearchUrls"}[found]
        raise UnfitError(f"it is {found} {number}: set traceStore to {found}, and {key}")
    known = dict(compatibility.JAEGER_KNOWS_ENGINE[store])
    if store == OPENSEARCH:
        known[7] = known[1]  # it can be told to call itself Elasticsearch 7.10.2
    oldest = known.get(major)
    if oldest is None:
        majors = ", ".join(map(str, compatibility.JAEGER_KNOWS_ENGINE[store]))
        raise UnfitError(f"it is {store} {number}, and Jaeger is known to write to {majors} alone")
    if jaeger < oldest:
        raise UnfitError(
            f"it is {store} {number}, which Jaeger {jaeger} does not know: set jaegerVersion to "
            f"{oldest} or newer"
        )
    if store == ELASTICSEARCH and major >= _OLDEST_WITH_PRODUCT and not answer.product:
        raise UnfitError(
            f"it is {store} {number}, but its answers have no header X-Elastic-Product: Jaeger "
            "would refuse it as another program. If a proxy is before it, let it pass on that "
            "header"
        )


def refuse_a_status(answer: Answer, user: str, privilege: str) -> None:
    """Raises UnfitError for an answer that is no success; ``privilege`` is what it takes."""
    if answer.status == 401 and user:
        raise UnfitError(f"it refuses traceStoreUser {user} and traceStorePassword (401)")
    if answer.status == 401:
        raise UnfitError("it wants a login (401): set traceStoreUser and traceStorePassword")
    if answer.status == 403:
        who = f"traceStoreUser {user}" if user else "who has no login"
        raise UnfitError(f"{who} may not do this (403): grant {privilege}")
    if not 200 <= answer.status < 300:
        raise UnfitError(f"it answers {answer.status}: {answer.body.strip()[:200]}")


def replicas(answer: Answer, user: str) -> int:
    """As many as ``GET /_cluster/health`` shows nodes for, at most one.

    Raises UnfitError where it cannot be seen.
    """
    try:
        refuse_a_status(answer, user, "cluster:monitor/health")
        nodes = int(json.loads(answer.body)["number_of_data_nodes"])
    except (UnfitError, ValueError, LookupError, TypeError) as error:
        raise UnfitError(
            f"{error}: or set traceStoreReplicas, as nobody can see how many nodes there are"
        ) from None
    return max(0, min(1, nodes - 1))


def trial(prefix: str) -> str:
    """The path of an index that is made and deleted to see that it may be."""
    return f"/{prefix}-jaeger-trial"


def services(prefix: str, today: date, days: int) -> str:
    """The path with which Jaeger lists services, which has the name of each day's index
    (olivere/elastic v7.0.32 search.go)."""
    dates = (today - timedelta(days=ago) for ago in range(days + 1))
    names = "%2C".join(f"{prefix}-jaeger-service-{day}" for day in dates)
    return f"/{names}/_search?ignore_unavailable=true"


def refuse_a_long_line(answer: Answer, path: str, days: int) -> None:
    """Raises UnfitError if ``answer`` to ``path``, which is of so many days, is that the request's
    line is too long: from Jaeger every search would have an error."""
    told = _TOO_LONG.search(answer.body)
    if not told and answer.status != _URI_TOO_LONG:
        return
    limit, fewer = "fewer bytes", "a smaller one"
    if told:
        name, around = len(path) // (days + 1), len("POST  HTTP/1.1")
        limit = f"{told[1]} bytes"
        fewer = f"{max(1, (int(told[1]) - around) // name - 2)}d"
    raise UnfitError(
        f"traceRetention {days}d is too long for it: Jaeger names each day's index in one line of "
        f"HTTP, {len(path)} bytes, and it takes {limit}: use {fewer}, or raise "
        "http.max_initial_line_length in its nodes"
    )


def listing(prefix: str) -> str:
    """The path that lists the indices of ``prefix``, with the numbers of their shards and of the
    copies of these."""
    return f"/_cat/indices/{prefix}-jaeger-*?h=index,pri,rep&format=json"
