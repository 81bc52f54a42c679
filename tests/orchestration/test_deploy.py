"""What `deploy/` says of the program is so: its commands, options, variables, ports and files."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dagster._cli import cli as dagster
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import compute_logs_directory
from dagster._daemon.cli import cli as dagster_daemon
from dagster_webserver.cli import dagster_webserver

from models.settings import Settings
from orchestration import dagster_home, environment
from orchestration.cli import app
from sinks import destinations

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
CLUSTER = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "gateway.yaml").read_text()))
VALUES = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
PROGRAMS = {
    "tailrace": typer.main.get_command(app),
    "dagster": dagster,
    "dagster-daemon": dagster_daemon,
    "dagster-webserver": dagster_webserver,
}


def commands() -> Iterator[list[str]]:
    """Every command line of ours or of Dagster's, of services and their health checks."""
    for service in COMPOSE["services"].values():
        yield from (
            words for words in (service.get("command"), service.get("healthcheck", {}).get("test", [])[1:]) if words
        )
    for document in CLUSTER:
        if document["kind"] == "Deployment":
            yield from (
                [*each["command"], *each["args"]] for each in document["spec"]["template"]["spec"]["containers"]
            )


@pytest.mark.parametrize("words", [words for words in commands() if words[0] in PROGRAMS], ids=" ".join)
def test_a_command_is_understood(words: list[str]) -> None:
    """The program knows the command with each of its options; nothing is run."""
    program, rest = PROGRAMS[words[0]], [*words[1:]]
    context = program.make_context(words[0], [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in rest])
    while hasattr(context.command, "commands"):
        name, command, left = context.command.resolve_command(
            context, [*getattr(context, "_protected_args", []), *context.args]
        )
        context = command.make_context(name, left, parent=context)


def test_every_variable_is_one_we_read() -> None:
    """A variable of ours that is set anywhere in `deploy/` is read by the program."""
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".lock"]
    named = set(re.findall(r"\bTAILRACE_[A-Z_]+\b", " ".join([*texts, (ROOT / "docs/deploying.md").read_text()])))
    assert named
    read = Path(environment.__file__).read_text() + destinations.LINK_KEY
    assert named <= set(re.findall(r"\bTAILRACE_[A-Z_]+\b", read))


def test_whoever_asks_knows_the_port() -> None:
    """The workspace names the code location's host and port, and what is published and probed is what listens."""
    place = yaml.safe_load((DEPLOY / "dagster" / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]
    services = COMPOSE["services"]
    assert str(place["port"]) in services[place["host"]]["command"]
    for service in services.values():
        for published in service.get("ports", []):
            host, _, port = published.split(":")
            assert host == "127.0.0.1"
            assert port in service["command"]


def test_dagster_behaves_as_on_one_machine() -> None:
    """Pools, runs and monitoring are those of `tailrace ui`; only where runs and their output are kept differs."""
    ours: dict[str, Any] = yaml.safe_load(dagster_home.DAGSTER_YAML)
    deployed: dict[str, Any] = yaml.safe_load((DEPLOY / "dagster" / "dagster.yaml").read_text())
    assert {name: part for name, part in deployed.items() if name not in {"storage", "compute_logs"}} == ours
    chart = _made_by_the_chart(VALUES)
    assert chart["concurrency"] == ours["concurrency"]
    assert chart["run_monitoring"] == ours["run_monitoring"]


def test_what_steps_print_is_kept_where_they_may_write() -> None:
    """Below TAILRACE_HOME, where `tailrace ui` has it too, on the volume of every service; and not in the image."""
    image = (DEPLOY / "Dockerfile").read_text()
    home, dagsters = (re.findall(rf"{name}_HOME=(\S+)", image)[0] for name in ("TAILRACE", "DAGSTER"))
    deployed = yaml.safe_load((DEPLOY / "dagster" / "dagster.yaml").read_text())["compute_logs"]
    assert deployed["config"]["base_dir"] == compute_logs_directory(f"{home}/dagster")
    assert not Path(home).is_relative_to(dagsters)
    assert not Path(dagsters).is_relative_to(home)
    for name in ("code", "webserver", "daemon"):
        assert f"target:{home}" in COMPOSE["services"][name]["volumes"]


def _made_by_the_chart(values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of dagster.yaml that Dagster's chart makes of these values: camel case becomes snake case."""
    daemon = values["dagsterDaemon"]
    coordinator = daemon["runCoordinator"]
    made = {
        "run_coordinator": {"module": "dagster.core.run_coordinator", "class": coordinator["type"]},
        "run_monitoring": _snake(daemon["runMonitoring"]),
        "telemetry": values["telemetry"],
        **values.get("additionalInstanceConfig", {}),
    }
    if queued := coordinator.get("config", {}).get("queuedRunCoordinator"):
        made["run_coordinator"]["config"] = _snake(queued)
    if values.get("concurrency", {}).get("enabled"):
        made["concurrency"] = _snake({name: part for name, part in values["concurrency"].items() if name != "enabled"})
    return made


def _snake(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name): _snake(each) if isinstance(each, dict) else each
        for name, each in values.items()
    }


def test_dagster_takes_what_the_chart_makes(tmp_path: Path) -> None:
    """Dagster's own check passes it, and does not where the queue has a limit as well."""
    file = tmp_path / "dagster.yaml"
    file.write_text(yaml.safe_dump(_made_by_the_chart(VALUES)))
    dagster_instance_config(str(tmp_path))
    twice = copy.deepcopy(VALUES)
    twice["dagsterDaemon"]["runCoordinator"]["config"] = {"queuedRunCoordinator": {"maxConcurrentRuns": 4}}
    file.write_text(yaml.safe_dump(_made_by_the_chart(twice)))
    with pytest.raises(DagsterInvalidConfigError, match="max_concurrent_runs"):
        dagster_instance_config(str(tmp_path))


def test_the_chart_is_of_the_dagster_in_the_image() -> None:
    """Where the chart's version is named it is the pinned one's."""
    pinned = re.findall(r"^dagster==(\S+)", (DEPLOY / "requirements.lock").read_text(), re.MULTILINE)
    texts = (DEPLOY / "kubernetes" / "values.yaml").read_text() + (ROOT / "docs/deploying.md").read_text()
    named = re.findall(r"dagster/dagster --version (\S+)", texts)
    assert named == pinned * 2


def test_every_file_that_is_named_is_there() -> None:
    """What the image copies, and what services read from the checkout."""
    image = (DEPLOY / "Dockerfile").read_text()
    copied = [words.split()[1:-1] for words in re.findall(r"^COPY .*$", image, re.MULTILINE)]
    mounted = [volume.split(":")[0] for each in COMPOSE["services"].values() for volume in each.get("volumes", [])]
    read = [word for words in commands() for word in words if word.startswith("deploy/")]
    files = [ROOT / name for names in copied for name in names] + [ROOT / name for name in read]
    files += [DEPLOY / name for name in mounted if name.startswith(".")]
    assert len(files) > 3
    assert not [file for file in files if not file.exists()]


def test_what_git_ignores_is_in_no_image() -> None:
    """Warehouses, caches and passwords of whoever builds it stay with them."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for pattern in (each.rstrip("/") for each in (ROOT / ".gitignore").read_text().splitlines()):
        folder, _, name = pattern.rpartition("/")
        assert f"**/{name}" in ignored or (folder and pattern in ignored), pattern


def _mounts() -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Of everything that runs in the cluster: volumes, and where they are mounted."""
    gateway = next(each for each in CLUSTER if each["kind"] == "Deployment")["spec"]["template"]["spec"]
    (runs,) = VALUES["dagster-user-deployments"]["deployments"]
    found = {"gateway": (gateway, gateway["containers"][0]["volumeMounts"]), "runs": (runs, runs["volumeMounts"])}
    return {name: ({each["name"]: each for each in spec["volumes"]}, mounts) for name, (spec, mounts) in found.items()}


def test_pods_share_files_and_nothing_of_their_own() -> None:
    """Landing folder and what `file` syncs write are one claim's; spools and locks are on no volume."""
    home = re.findall(r"TAILRACE_HOME=(\S+)", (DEPLOY / "Dockerfile").read_text())[0]
    settings = Settings(ROOT, Path(home), "prod")
    places = {"landing": settings.landing, "out": settings.out}
    (claim,) = (each["metadata"]["name"] for each in CLUSTER if each["kind"] == "PersistentVolumeClaim")
    for name, (volumes, mounts) in _mounts().items():
        assert {each["subPath"]: Path(each["mountPath"]) for each in mounts} == {
            part: places[part] for part in (["landing"] if name == "gateway" else places)
        }
        for each in mounts:
            assert volumes[each["name"]]["persistentVolumeClaim"]["claimName"] == claim
    image = (DEPLOY / "Dockerfile").read_text()
    assert all(f" {place} " in image for place in places.values()), "made by root where it is mounted"


def test_there_is_one_gateway_at_a_time() -> None:
    """A rollout ends the old one before it begins the new one: each of two would call the other's files left behind."""
    (gateway,) = (each["spec"] for each in CLUSTER if each["kind"] == "Deployment")
    assert (gateway["replicas"], gateway["strategy"]) == (1, {"type": "Recreate"})


def test_the_server_is_well_when_it_is_reached() -> None:
    """It is asked as services ask it: on its socket it answers before the databases are made."""
    asked = COMPOSE["services"]["postgres"]["healthcheck"]["test"]
    assert asked[asked.index("-h") + 1] == "127.0.0.1"


def test_nothing_secret_is_in_it() -> None:
    """Passwords and tokens come from outside: the examples say which, and have none."""
    given, secrets = (
        dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / name).read_text(), re.MULTILINE))
        for name in ("env.example", "secrets.example")
    )
    assert given["POSTGRES_PASSWORD"] == ""
    assert {*secrets.values()} == {""}
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked - {"TAILRACE_TARGET"} == given.keys()
