"""Which Docker daemon is used, and what is refused because not everything would use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime_observability.host import daemon as daemons
from runtime_observability.host import runner
from runtime_observability.host.daemon import Choice, choose
from tests.fakes.daemon import FakeDaemon

USUAL = "unix:///var/run/docker.sock"


# --- the choice -----------------------------------------------------------------------------------


def test_the_daemon_is_that_of_dockers_context(daemon: FakeDaemon) -> None:
    assert choose({}) == Choice(daemons.resolved(USUAL))
    daemon.host = "unix:///run/user/1000/docker.sock"
    assert choose({}) == Choice("unix:///run/user/1000/docker.sock")


def test_docker_host_overrides_the_context(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///a.sock")
    assert choose({}) == Choice("unix:///a.sock")
    assert daemon.executables.calls == []


def test_the_stacks_own_daemon_overrides_both(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.host = "unix:///elsewhere.sock"
    assert choose({"host": "unix:///own.sock"}) == Choice("unix:///own.sock")
    monkeypatch.setenv("DOCKER_HOST", "unix:///a.sock")
    assert choose({"host": "unix:///own.sock"}) == Choice("unix:///own.sock")
    monkeypatch.setenv("DOCKER_HOST", " unix:///a.sock ")  # docker takes it, too
    assert choose({}) == Choice("unix:///a.sock")
    assert choose({"host": " unix:///own.sock\n"}) == Choice("unix:///own.sock"), "it is one daemon"


def test_two_names_of_one_socket_are_one_daemon(daemon: FakeDaemon, tmp_path: Path) -> None:
    """As with Docker Desktop: the usual socket is a link to the one of its context."""
    own, usual = tmp_path / "desktop.sock", tmp_path / "docker.sock"
    own.touch()
    usual.symlink_to(own)
    daemon.host = f"unix://{own}"
    assert choose({}) == Choice(f"unix://{own}")
    assert choose({"host": f"unix://{usual}"}) == Choice(f"unix://{own}")


def test_what_is_not_a_socket_keeps_its_address() -> None:
    assert daemons.resolved("tcp://127.0.0.1:2375") == "tcp://127.0.0.1:2375"
    assert daemons.resolved("npipe:////./pipe/docker_engine") == "npipe:////./pipe/docker_engine"


def test_an_address_that_is_none_is_refused() -> None:
    chosen = choose({"host": "tcp://[::1"})
    (problem,) = map(str, chosen.problems)
    assert problem == (
        "Docker: the daemon's address is tcp://[::1: Invalid IPv6 URL. Name a local socket in "
        "DOCKER_HOST or docker:host"
    )
    assert daemons.variables(chosen.address) == {"DOCKER_HOST": "tcp://[::1"}


def test_without_docker_there_is_no_choice_but_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    chosen = choose({})
    assert chosen.address == ""
    (problem,) = map(str, chosen.problems)
    assert problem.startswith("Docker: the daemon does not answer: `docker` is not on PATH")


def test_a_context_in_the_environment_is_refused(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DOCKER_HOST overrides it for docker; it overrides DOCKER_HOST for Pulumi's provider."""
    assert choose({}).problems == ()
    monkeypatch.setenv("DOCKER_CONTEXT", "colima")
    (problem,) = map(str, choose({}).problems)
    assert "DOCKER_CONTEXT is colima" in problem
    assert f"`unset DOCKER_CONTEXT; export DOCKER_HOST={daemon.host}`" in problem
    (problem,) = map(str, choose({"host": "unix:///own.sock"}).problems)
    assert "DOCKER_CONTEXT is colima" in problem


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("unix:///run/user/1000/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2376", True),
        ("tcp://docker:2375", False),
        ("ssh://me@box", False),
    ],
)
def test_a_daemon_on_another_machine_is_refused(host: str, here: bool) -> None:
    problems = daemons.refuse_a_daemon_elsewhere(host)
    assert [host in problem.seen for problem in problems] == ([] if here else [True])
    assert list(choose({"host": host}).problems) == problems


@pytest.mark.parametrize(
    ("host", "variables", "problem"),
    [
        ("unix:///a.sock", {"DOCKER_CERT_PATH": "/tls"}, "`unset DOCKER_CERT_PATH`"),
        (
            "unix:///a.sock",
            {"DOCKER_CERT_PATH": "/tls", "DOCKER_TLS_VERIFY": "1"},
            "`unset DOCKER_CERT_PATH DOCKER_TLS_VERIFY`",
        ),
        (
            "tcp://127.0.0.1:2375",
            {"DOCKER_CERT_PATH": "/tls"},
            "`unset DOCKER_CERT_PATH`, or set DOCKER_TLS_VERIFY=1 if it wants TLS",
        ),
        ("tcp://127.0.0.1:2376", {"DOCKER_CERT_PATH": "/tls", "DOCKER_TLS_VERIFY": "1"}, ""),
        ("tcp://127.0.0.1:2376", {"DOCKER_TLS_VERIFY": "1"}, ""),
        ("unix:///a.sock", {"DOCKER_TLS_VERIFY": "1"}, ""),
        ("unix:///a.sock", {"DOCKER_KEY_MATERIAL": "-----"}, "`unset DOCKER_KEY_MATERIAL`"),
    ],
)
def test_certificates_that_docker_does_not_use_are_refused(
    monkeypatch: pytest.MonkeyPatch, host: str, variables: dict[str, str], problem: str
) -> None:
    """As of a shell after `minikube docker-env`: Pulumi's provider uses them with a socket, too."""
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    problems = [*map(str, choose({"host": host}).problems)]
    assert len(problems) == bool(problem)
    assert all(problem in told and "-----" not in told for told in problems)


def test_the_provider_is_told_where_docker_finds_its_certificates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of(address: str) -> str | None:
        runner.variables.clear()
        daemons.use(Choice(address))
        return daemons.certificates()

    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    assert of("tcp://127.0.0.1:2376") is None
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CONFIG", "/home/ada/docker")
    assert of("tcp://127.0.0.1:2376") == "/home/ada/docker"
    assert of("unix:///a.sock") is None
    monkeypatch.setenv("DOCKER_CERT_PATH", "/tls")
    assert of("tcp://127.0.0.1:2376") == "/tls"


# --- keys of the provider -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "cure"),
    [
        (
            "context",
            "`pulumi config rm docker:context`, and name its address instead: `pulumi config set "
            "docker:host $(docker context inspect --format '{{.Endpoints.docker.Host}}' NAME)`",
        ),
        ("certPath", "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
        ("caMaterial", "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
        ("certMaterial", "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
        ("keyMaterial", "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
        ("sshOpts", "use a daemon on this machine"),
        ("later", "run `pulumi config rm docker:later`"),
    ],
)
def test_a_key_that_only_the_provider_would_follow_is_refused(key: str, cure: str) -> None:
    chosen = choose({"host": "unix:///own.sock", key: "colima"})
    (problem,) = chosen.problems
    assert problem.key == f"docker:{key}"
    assert cure in problem.cure


def test_the_value_of_such_a_key_is_not_shown() -> None:
    """It can be a private key."""
    (problem,) = daemons.refuse_keys({"keyMaterial": "-----BEGIN PRIVATE KEY-----"})
    assert "PRIVATE" not in str(problem)


def test_keys_that_choose_no_daemon_stay_the_providers() -> None:
    assert daemons.refuse_keys({"registryAuth": [], "disableDockerDaemonCheck": "true"}) == []


# --- its use --------------------------------------------------------------------------------------


def test_every_command_uses_the_chosen_daemon(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///shell.sock")
    shown = ["sh", "-c", "echo $DOCKER_HOST"]
    daemons.use(Choice(""))
    assert runner.run(shown).stdout == "unix:///shell.sock\n"
    daemons.use(Choice("unix:///own.sock"))
    assert runner.run(shown).stdout == "unix:///own.sock\n"
    monkeypatch.setattr(runner, "SCRIPTS", Path(daemon.path.partition(":")[0]))
    daemon.executables.script(runner.FUNCTIONS, "")
    daemon.executables.script("shown", "echo $DOCKER_HOST $OWNER")
    assert runner.run_script("shown", {"OWNER": "me"}).stdout == "unix:///own.sock me\n"


def test_a_daemon_with_tls_takes_its_variables_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    monkeypatch.setenv("DOCKER_CERT_PATH", "/tls")
    tcp = "tcp://127.0.0.1:2376"
    assert daemons.variables(tcp) == {"DOCKER_HOST": tcp, "DOCKER_CERT_PATH": "/tls"}
    assert daemons.variables("unix:///a.sock") == {"DOCKER_HOST": "unix:///a.sock"}


# --- a daemon that cannot be used -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Got permission denied while trying to connect to the Docker daemon socket at "
        "unix:///var/run/docker.sock",
        "permission denied while trying to connect to the docker API at unix:///x.sock",
        "dial unix /var/run/docker.sock: connect: permission denied",
    ],
)
def test_a_socket_that_this_user_may_not_use_names_the_group(text: str) -> None:
    problem = str(daemons.unusable(runner.CommandError(text)))
    assert problem.startswith(f"Docker: this user may not use the daemon's socket: {text}. Add")
    assert "`sudo usermod -aG docker $USER` and log in again" in problem
    assert "start it" not in problem.lower()


def test_what_a_shell_has_for_another_daemon_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = runner.CommandError("client version 1.24 is too old")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "")
    assert daemons.unusable(error).cure == "start it, or name its socket in DOCKER_HOST"
    monkeypatch.setenv("DOCKER_API_VERSION", "1.24")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert daemons.unusable(error).cure.endswith(
        "; if it runs, `unset DOCKER_API_VERSION DOCKER_TLS_VERIFY`, which this shell has"
    )


def test_a_daemon_with_tls_is_told_with_the_variables_of_its_certificates() -> None:
    """As of a docker context with certificates of its own."""
    error = "Error response from daemon: Client sent an HTTP request to an HTTPS server."
    problem = str(daemons.unusable(runner.CommandError(error)))
    assert problem.startswith("Docker: the daemon wants TLS: ")
    assert "Set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH" in problem


def test_a_denied_file_is_not_a_denied_socket() -> None:
    """docker warns of its own file before it says that no daemon answers."""
    text = (
        "WARNING: Error loading config file: open /home/a/.docker/config.json: permission denied\n"
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock"
    )
    problem = daemons.unusable(runner.CommandError(text))
    assert problem.seen == "the daemon does not answer"
    assert problem.cure == "start it, or name its socket in DOCKER_HOST"
