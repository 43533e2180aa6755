"""The environment variables with which a shell's Pulumi works on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lab.machine import plugins
from lab.machine.machine import Machine, path_without, users_pulumi_home
from lab.machine.venv import SCRIPTS
from lab.paths import PROJECT
from runtime_observability.host.downloads import MIRROR

_PULUMI = "127.0.0.1"
_IN_URLS = str.maketrans({"%": "%25", "?": "%3F", "#": "%23"})
"""What ends the path in a URL or means another character there; Pulumi takes any other."""
_NO_PROXY = "no_grpc_proxy"
"""In small letters alone; where it is set, gRPC does not read ``no_proxy``."""


def variables(machine: Machine, docker_host: str) -> dict[str, str]:
    """Return the variables; the user's own settings of Pulumi are kept.

    A tool that PATH lacks is found in the output of the step that provides it. No other checkout
    changes that folder, whose name has the hash of its content.
    """
    cache = machine.cache
    # .venv comes last: ktrace is wanted from it, but not another python3.
    outside = [folder for folder in path_without(cache).split(os.pathsep) if folder != str(SCRIPTS)]
    ours = dict.fromkeys(str(step.output(cache)) for step in machine.tools.values())
    exports = {"PATH": os.pathsep.join([*ours, *outside, str(SCRIPTS)])}
    if docker_host != "unix:///var/run/docker.sock":
        exports["DOCKER_HOST"] = docker_host
    credentials = Path(os.environ.get("PULUMI_CREDENTIALS_PATH") or users_pulumi_home(cache))
    logged_in = _logged_in(credentials)
    if machine.stand_ins:
        exports["PULUMI_HOME"] = str(cache.pulumi_home)
        # Else each command tries to download the plugins of all SDKs in .venv: 2.6 s for one.
        exports[plugins.NO_DOWNLOADS] = "true"
        if logged_in:
            exports["PULUMI_CREDENTIALS_PATH"] = str(credentials)
    elif os.environ.get("PULUMI_HOME") == str(cache.pulumi_home):
        exports["PULUMI_HOME"] = str(users_pulumi_home(cache))
        exports[plugins.NO_DOWNLOADS] = "false"
    if "pulumi" in machine.tools:
        exports["PULUMI_SKIP_UPDATE_CHECK"] = "true"
    exports |= _to_pulumi_without_a_proxy()
    exports |= plugins.from_mirror(os.environ.get(MIRROR, ""))
    if "PULUMI_BACKEND_URL" not in os.environ and not logged_in:
        exports["PULUMI_BACKEND_URL"] = f"file://{str(PROJECT).translate(_IN_URLS)}"
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & os.environ.keys():
        exports["PULUMI_CONFIG_PASSPHRASE"] = ""
    return exports


def _to_pulumi_without_a_proxy() -> dict[str, str]:
    """What keeps a program from asking the proxy for Pulumi, which is at 127.0.0.1.

    The library of gRPC for Python makes no exception of it by itself, and Pulumi's SDK leaves the
    proxy on (seen with grpcio 1.85.3 and pulumi 3.272.0).
    """
    if not any(map(os.environ.get, ("grpc_proxy", "https_proxy", "http_proxy"))):
        return {}
    known = next(filter(None, map(os.environ.get, (_NO_PROXY, "no_proxy"))), "")
    if _PULUMI in map(str.strip, known.split(",")):
        return {}
    return {_NO_PROXY: ",".join(filter(None, (known, _PULUMI)))}


def _logged_in(folder: Path) -> bool:
    """Whether `pulumi login` was used (pulumi v3.259.0 sdk/go/common/workspace/creds.go)."""
    try:
        known = json.loads((folder / "credentials.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(known.get("current"))
