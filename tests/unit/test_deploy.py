"""The manifests of deploy/, as far as they can be judged without an account: deploy/README.md says how far that is."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import SecretStr

from services.cli import arguments_of, cli
from services.common.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {name.upper(): field for name, field in Settings.model_fields.items()}
SECRETS = {name for name, field in SETTINGS.items() if field.annotation is SecretStr}

BROKER = {
    *("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME"),
    *("KAFKA_SASL_PASSWORD", "KAFKA_REPLICATION_FACTOR"),
}
SERVER = {"CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_SECURE"}
WRITER = {"CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"}
READER = {"CLICKHOUSE_READER_USER", "CLICKHOUSE_READER_PASSWORD"}
# What each part must be told, to be led to a broker and a ClickHouse elsewhere
NEEDED = {
    "migrate": BROKER | SERVER | WRITER,
    "produce": BROKER | SERVER | WRITER | {"EVENTSTREAMS_CONTACT"},
    "work": BROKER | SERVER | WRITER,
    "notify": SERVER | WRITER | {"ALERT_WEBHOOK_URL"},
    "dashboard": SERVER | READER,
}


class Variable(NamedTuple):
    """One variable of one part: its value in clear, or None where the platform has it."""

    name: str
    clear: str | None


class Part(NamedTuple):
    """One part on one platform."""

    where: str
    command: list[str]
    variables: list[Variable]


def cloud_run() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((DEPLOY / "cloud-run").glob("*.yaml")):
        yield path, yaml.safe_load(path.read_text())


def container_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec = manifest["spec"]["template"]["spec"]
    spec = spec["template"]["spec"] if manifest["kind"] == "Job" else spec
    (container,) = spec["containers"]
    return dict(container)


def render() -> list[dict[str, Any]]:
    return list(yaml.safe_load((DEPLOY / "render" / "render.yaml").read_text())["services"])


def railway() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((DEPLOY / "railway").glob("*.json")):
        yield path, json.loads(path.read_text())


def parts() -> Iterator[Part]:
    """Every part of every platform. Railway's files hold no variables: its README lists them."""
    for path, manifest in cloud_run():
        container = container_of(manifest)
        variables = [Variable(one["name"], one.get("value")) for one in container["env"]]
        yield Part(f"cloud-run/{path.name}", container["args"], variables)
    for service in render():
        variables = [Variable(one["key"], one.get("value")) for one in service["envVars"]]
        yield Part(f"render: {service['name']}", shlex.split(service["dockerCommand"]), variables)


ALL = list(parts())


def name_of(value: object) -> str:
    """A test's name, by the file or the part that it is about."""
    return value.stem if isinstance(value, Path) else value if isinstance(value, str) else ""


def commands() -> Iterator[tuple[str, list[str]]]:
    for part in ALL:
        yield part.where, part.command
    for path, manifest in railway():
        yield f"railway/{path.name}", shlex.split(manifest["deploy"]["startCommand"])
        for command in manifest["deploy"].get("preDeployCommand", []):
            yield f"railway/{path.name}", shlex.split(command)
    for service in render():
        if "preDeployCommand" in service:
            yield f"render: {service['name']}", shlex.split(service["preDeployCommand"])


@pytest.mark.parametrize(("where", "command"), list(commands()), ids=name_of)
def test_every_command_is_one_of_ours_with_options_that_it_knows(where: str, command: list[str]) -> None:
    # with the image's entry point before it, or in its place
    if where.startswith("cloud-run"):
        assert command[0] != "battlefield", "args follow the image's entry point"
    name, *options = arguments_of(command)
    with cli.make_context("battlefield", [name, *options]) as context:
        found = cli.get_command(context, name)
        assert found, f"{where}: {name}"
        found.make_context(name, list(options), parent=context)


@pytest.mark.parametrize("part", ALL, ids=lambda part: part.where)
def test_every_part_is_told_what_it_needs_by_settings_that_exist(part: Part) -> None:
    names = [variable.name for variable in part.variables]
    assert len(set(names)) == len(names)
    assert set(names) <= SETTINGS.keys()
    assert set(names) - {"HEALTH_PORT"} == NEEDED[arguments_of(part.command)[0]]


@pytest.mark.parametrize("part", ALL, ids=lambda part: part.where)
def test_no_secret_stands_in_clear_and_no_value_is_one_that_the_settings_refuse(part: Part) -> None:
    clear = {variable.name: variable.clear for variable in part.variables if variable.clear is not None}
    assert not SECRETS & clear.keys()
    fixed = {name.lower(): value for name, value in clear.items() if "${" not in value}
    # what is asked for at the platform is anything
    others = {"kafka_sasl_username": "x", "kafka_sasl_password": "x"}
    Settings(_env_file=None, **others, **fixed)
    # the rest is filled in from .env, under the same name; the producer gets the reader's account
    for name, value in clear.items():
        for inserted in re.findall(r"\$\{(\w+)\}", value):
            assert inserted in {name, name.replace("CLICKHOUSE_", "CLICKHOUSE_READER_")}


def test_the_producer_cannot_write_to_clickhouse() -> None:
    for path, manifest in cloud_run():
        if path.stem == "producer":
            told = {one["name"]: one for one in container_of(manifest)["env"]}
            assert told["CLICKHOUSE_USER"]["value"] == "${CLICKHOUSE_READER_USER}"
            assert told["CLICKHOUSE_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == "clickhouse-reader-password"
    (producer,) = (service for service in render() if service["name"].endswith("producer"))
    taken = {one["key"]: one.get("fromService", {}).get("envVarKey") for one in producer["envVars"]}
    assert (taken["CLICKHOUSE_USER"], taken["CLICKHOUSE_PASSWORD"]) == tuple(sorted(READER, reverse=True))


GOOGLE = json.loads((ROOT / "tests" / "deploy" / "cloud_run_v1.json").read_text())["schemas"]
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def check(value: Any, rule: dict[str, Any], where: str) -> None:
    """Hold a value against Google's description: names and types of fields."""
    if "$ref" in rule:
        fields = GOOGLE[rule["$ref"]]
        assert isinstance(value, dict), where
        for name, inner in value.items():
            assert name in fields, f"{where}: no field {name} in {rule['$ref']}"
            check(inner, fields[name], f"{where}.{name}")
        return
    assert isinstance(value, TYPES[rule["type"]]), f"{where}: {value!r} is no {rule['type']}"
    for number, inner in enumerate(value if isinstance(value, list) else []):
        check(inner, rule["items"], f"{where}[{number}]")
    for name, inner in value.items() if isinstance(value, dict) else []:
        check(inner, rule["additionalProperties"], f"{where}.{name}")


@pytest.mark.parametrize(("path", "manifest"), list(cloud_run()), ids=name_of)
def test_cloud_run_knows_every_field(path: Path, manifest: dict[str, Any]) -> None:
    check(manifest, {"$ref": manifest["kind"]}, path.name)
    container = container_of(manifest)
    assert container["image"] == "${IMAGE}"
    for probe in (container.get("startupProbe"), container.get("livenessProbe")):
        if probe:
            assert probe["timeoutSeconds"] <= probe["periodSeconds"]
    if manifest["kind"] == "WorkerPool":
        told = {one["name"]: one.get("value") for one in container["env"]}
        assert int(told["HEALTH_PORT"]) == container["livenessProbe"]["httpGet"]["port"]


# https://docs.railway.com/config-as-code/reference: what may stand there, and of which kind
RAILWAY = {
    "build": {"builder": str, "dockerfilePath": str},
    "deploy": {
        **dict.fromkeys(("startCommand", "healthcheckPath", "restartPolicyType"), str),
        **dict.fromkeys(("healthcheckTimeout", "overlapSeconds", "drainingSeconds"), int),
        "preDeployCommand": list,
    },
}


@pytest.mark.parametrize(("path", "manifest"), list(railway()), ids=name_of)
def test_railway_knows_every_field(path: Path, manifest: dict[str, Any]) -> None:
    assert manifest.pop("$schema") == "https://railway.com/railway.schema.json"
    assert manifest.keys() == RAILWAY.keys()
    for section, fields in manifest.items():
        assert all(isinstance(value, RAILWAY[section][name]) for name, value in fields.items()), path
    assert (manifest["build"]["builder"], manifest["deploy"]["restartPolicyType"]) == ("DOCKERFILE", "ALWAYS")
    assert (ROOT / manifest["build"]["dockerfilePath"]).is_file()
    assert len(manifest["deploy"].get("preDeployCommand", [])) <= 1


# https://render.com/docs/blueprint-spec
RENDER = {
    *("type", "name", "runtime", "dockerfilePath", "dockerContext", "dockerCommand", "preDeployCommand", "plan"),
    *("numInstances", "maxShutdownDelaySeconds", "healthCheckPath", "envVars"),
}


@pytest.mark.parametrize("service", render(), ids=lambda service: service["name"])
def test_render_knows_every_field_and_every_value_has_one_place(service: dict[str, Any]) -> None:
    assert service.keys() <= RENDER
    assert service["type"] in ("web", "worker")
    assert (ROOT / service["dockerfilePath"]).is_file()
    asked = {
        (other["type"], other["name"], one["key"])
        for other in render()
        for one in other["envVars"]
        if one.get("sync") is False
    }
    for variable in service["envVars"]:
        ways = variable.keys() - {"key"}
        assert ways in ({"value"}, {"sync"}, {"fromService"}), variable
        if source := variable.get("fromService"):
            assert (source["type"], source["name"], source["envVarKey"]) in asked, variable


def test_the_page_names_every_variable_and_every_secret() -> None:
    page = (DEPLOY / "README.md").read_text()
    assert {name for names in NEEDED.values() for name in names} <= set(re.findall(r"[A-Z][A-Z_]+", page))
    secrets = {
        one["valueFrom"]["secretKeyRef"]["name"]
        for _, manifest in cloud_run()
        for one in container_of(manifest)["env"]
        if "valueFrom" in one
    }
    assert secrets <= set(re.findall(r"[a-z][a-z-]+", page))
