"""``docker`` and ``k3d`` as the project calls them, on a daemon that is one JSON file.

Started by name (``command_line.py docker ps -a``). Every call is recorded. A call or an option that
it does not know is an error: a test must not pass on a question that Docker would not understand.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

State = dict[str, Any]
Thing = dict[str, Any]
_FOLDER = Path(os.environ["FAKE_DAEMON"])


def main() -> int:
    tool, *argv = sys.argv[1:]
    stdin = sys.stdin.read() if "-" in argv else ""
    with (_FOLDER / "calls").open("a") as calls:
        calls.write(json.dumps({"argv": [tool, *argv], "stdin": stdin}) + "\n")
    with (_FOLDER / "state.json").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        code = (docker if tool == "docker" else k3d)(state, argv, stdin)
        file.seek(0)
        file.truncate()
        json.dump(state, file)
    if seconds := state["k3d"]["works_for"] if tool == "k3d" else 0:
        sys.stdout.flush()
        time.sleep(seconds)
    return code


def docker(state: State, argv: list[str], _: str) -> int:  # noqa: PLR0912  a table
    if state["down"]:
        print("Cannot connect to the Docker daemon. Is the docker daemon running?", file=sys.stderr)
        return 1
    match argv:
        case ["ps", "-a" | "-aq", *options]:
            arrive(state)
            return show(state["containers"], argv[1:2] + options, "id")
        case ["network", "ls", *options]:
            return show(state["networks"], options, "id")
        case ["volume", "ls", *options]:
            return show(state["volumes"], options, "name")
        case ["rm", "-fv", *wanted]:
            return remove(state["containers"], wanted)
        case ["volume", "rm", "-f", *wanted]:
            return remove(state["volumes"], wanted)
        case ["network", "rm", wanted]:
            held = [each for each in state["containers"] if wanted in each["networks"]]
            return 1 if held else remove(state["networks"], [wanted])
        case ["network", "disconnect", "-f", network, container]:
            for each in select(state["containers"], [container]):
                each["networks"].remove(network)
            return 0
        case ["logs", "--tail", _, name]:
            return tell(state, name, "log")
        case ["top", name]:
            return tell(state, name, "top")
        case ["inspect", "--format", "{{.State.Status}} {{.RestartCount}}", name]:
            return tell(state, name, "status")
        case ["info", "--format", "{{json .}}"]:
            print(json.dumps(state["info"]))
            return 0
        case ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]:
            print(state["host"])
            return 0
    print(f"fake docker: unknown: {argv}", file=sys.stderr)
    return 64


def k3d(state: State, argv: list[str], stdin: str) -> int:
    rules = state["k3d"]
    match argv:
        case ["version"]:
            print(f"k3d version v{rules['version']}\nk3s version v1.33.6-k3s1 (default)")
            return 0
        case ["cluster", "create", "--config", "-"]:
            return create_cluster(state, stdin)
        case ["cluster", "start", name, "--timeout", "120s"]:
            for each in state["containers"]:
                if each["labels"].get("k3d.cluster") == name:
                    each["state"] = "running"
            print(f"INFO[0000] Started cluster {name}")
            return int(rules["start_code"])
        case ["kubeconfig", "get", name]:
            print(f"---\n# kubeconfig of {name}")
            return 0
    print(f"fake k3d: unknown: {argv}", file=sys.stderr)
    return 64


def create_cluster(state: State, stdin: str) -> int:
    import yaml  # only here: docker is started often, and without site-packages

    rules = state["k3d"]
    config = yaml.safe_load(stdin)
    cluster = config["metadata"]["name"]
    if any(each["labels"].get("k3d.cluster") == cluster for each in state["containers"]):
        print("FATA[0000] a cluster with that name already exists")
        return 1
    runtime = config["options"]["runtime"]["labels"]
    labels = dict(entry["label"].split("=", 1) for entry in runtime)
    roles = ["server"] * config["servers"] + ["agent"] * config["agents"]
    for number, role in enumerate(roles):
        index = number if role == "server" else number - config["servers"]
        name = f"k3d-{cluster}-{role}-{index}"
        own = {"k3d.cluster": cluster, "k3d.role": role}
        made = {"id": f"{name}-{time.time_ns()}", "name": name, "labels": labels | own}
        rest = {"networks": [], "state": "running", "ports": "", "stuck": False}
        said = {"log": rules["log"], "top": "k3s server", "status": "running 0"}
        state["containers"].append(made | rest | said)
    print("INFO[0000] Cluster created" if not rules["create_code"] else "FATA[0000] Rolled back")
    return int(rules["create_code"])


def arrive(state: State) -> None:
    """What an orphan creates meanwhile: each arrival waits for its number of looks."""
    for arrival in list(state["arrivals"]):
        arrival["after_looks"] -= 1
        if arrival["after_looks"] < 0:
            state["arrivals"].remove(arrival)
            state["containers"].append(arrival["container"])


def show(things: list[Thing], options: list[str], key: str) -> int:
    template = f"{{{{.{key}}}}}"
    rest = iter(options)
    for option in rest:
        match option:
            case "-a" | "-q" | "-aq" | "--no-trunc":
                pass
            case "--filter":
                things = [thing for thing in things if passes(thing, next(rest))]
            case "--format":
                template = next(rest)
            case _:
                print(f"fake docker: unknown option {option}", file=sys.stderr)
                return 64
    for thing in things:
        print(fill(template, thing))
    return 0


def passes(thing: Thing, condition: str) -> bool:
    kind, _, value = condition.partition("=")
    match kind:
        case "label":
            label, _, wanted = value.partition("=")
            return bool(thing["labels"].get(label) == wanted)
        case "network":
            return value in thing["networks"]
        case "name":
            return re.search(value, thing["name"]) is not None
    raise SystemExit(f"fake docker: unknown filter {condition}")


_FIELDS = {"ID": "id", "Names": "name", "Name": "name", "State": "state", "Ports": "ports"}
_PLACE = re.compile(r'\{\{(json )?\(?\.(\w+)(?: "([^"]+)")?\)?\}\}')


def fill(template: str, thing: Thing) -> str:
    def value(match: re.Match[str]) -> str:
        as_json, name, label = match.groups()
        if name == "Label":
            found = thing["labels"].get(label, "")
        else:
            found = thing[_FIELDS.get(name, name)]
        return json.dumps(found) if as_json else str(found)

    return _PLACE.sub(value, template)


def select(things: list[Thing], wanted: list[str]) -> list[Thing]:
    return [thing for thing in things if {thing["name"], thing.get("id")} & set(wanted)]


def remove(things: list[Thing], wanted: list[str]) -> int:
    for thing in select(things, wanted):
        if not thing["stuck"]:
            things.remove(thing)
    return 1 if select(things, wanted) else 0


def tell(state: State, name: str, what: str) -> int:
    for container in select(state["containers"], [name]):
        print(container[what])
        return 0
    print(f"Error: No such container: {name}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
