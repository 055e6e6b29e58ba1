"""The stack of compose.yaml for real: from nothing to a page with data, through a crash of each part, to an audit.

    python -m scripts.docker_check [--keep] [--build-only] [--no-tests]

Builds the image, starts the stack under a project name and on ports of its own with a war game of ten minutes' past,
and looks: is everything healthy, hardened, published on 127.0.0.1 alone, does the board show the edits in a browser?
Then it kills the process in each container and waits until all are well again, takes ClickHouse's volume away and
restores a backup, takes Redpanda's away, lets the stream come to rest, and holds what is stored against what was
read. Whatever is found wrong ends it with status 1; in the end nothing is left but images. Where the images of
Redpanda and ClickHouse are missing it builds the stand-ins of tests/standins, and says so. Where no Docker engine
answers it says that nothing was checked and ends with status 0.
"""

import itertools
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click
import psutil
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import SecretStr

from services.common.clickhouse import reader_client
from services.common.queries import run_query
from services.common.settings import PROJECT_ROOT, Settings
from services.embedded.ports import accepts, free_port
from tests.certificates import Authority, behind_tls
from tests.kafka import PASSWORD, USER, NoKafka, secure_kafka

IMAGE = "wiki-battlefield"
STAND_IN = "wiki-battlefield.stands-in-for"  # the label of tests/standins
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")  # for a build behind a proxy that opens TLS
ACCOUNTS = ("writer", "reader", "notifier")  # of clickhouse/users.d
HISTORY = timedelta(minutes=10)  # what the war game has played before the producer connects
LARGEST_IMAGE = 900 * 10**6  # bytes
MOST_MEMORY = 2.5 * 2**30  # bytes, of all containers together
LONGEST_START = 60.0  # seconds from `up` to all healthy; more is told, not failed: the machine may be busy
PATIENCE = 300.0  # seconds for anything to happen; a busy machine takes long
# the broker and ClickHouse one after the other, each until it is well again; then what stands on them, all at once
KILLED = (("redpanda",), ("clickhouse",), ("simulator", "producer", "worker", "dashboard"))

# Of a container, from inside: may it write, who is it, what may it do?
LOOK = (
    "touch /x 2>/dev/null && echo writable; id -u;"
    r" sed -n 's/^\(CapEff\|CapBnd\|NoNewPrivs\):\s*/\1 /p' /proc/1/status"
)
HARDENED = {"CapEff 0000000000000000", "CapBnd 0000000000000000", "NoNewPrivs 1"}


class Wrong(Exception):
    """The check found something that must not be."""


def require(holds: object, message: str) -> None:
    """Raise Wrong unless it holds."""
    if not holds:
        raise Wrong(message)


def say(text: str) -> None:
    """A line of the report, at once."""
    print(text, flush=True)


def docker(*arguments: str, check: bool = True, **options: Any) -> str:
    """The output of a docker command. Raises Wrong with what it said."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=False, **options
    )
    require(done.returncode == 0 or not check, f"docker {' '.join(arguments)}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Until a condition holds. Raises Wrong after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        require(time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)


@dataclass
class Stack:
    """compose.yaml under a project name of its own, with ports, passwords and a game of its own."""

    name: str = field(default_factory=lambda: f"battlefield-check-{secrets.token_hex(3)}")
    board: int = field(default_factory=free_port)
    clickhouse: int = field(default_factory=free_port)
    passwords: dict[str, str] = field(default_factory=lambda: {name: secrets.token_urlsafe(24) for name in ACCOUNTS})
    plays: str = field(default_factory=lambda: f"--start {datetime.now(UTC) - HISTORY:%Y-%m-%dT%H:%M:%SZ}")
    more: dict[str, str] = field(default_factory=dict)  # what stands in its .env beyond that

    def environment(self) -> dict[str, str]:
        """For compose: these, and nothing of the caller's own stack."""
        ours = ("KAFKA_", "CLICKHOUSE_", "EVENTSTREAMS_", "STACK_", "DASHBOARD_", "COMPOSE_")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_ENV_FILES": os.devnull,
            "COMPOSE_PROFILES": "simulate",
            "DASHBOARD_PORT": str(self.board),
            "STACK_CLICKHOUSE_PORT": str(self.clickhouse),
            **{f"STACK_{name.upper()}_PASSWORD": password for name, password in self.passwords.items()},
            "STACK_SIMULATE_ARGS": self.plays,
            "EVENTSTREAMS_URL": "http://simulator:8080/v2/stream/recentchange",
            "EVENTSTREAMS_SINCE": "1h",
            **self.more,
        }

    def compose(self, *arguments: str, check: bool = True) -> str:
        """A compose command over it."""
        return docker("compose", *arguments, check=check, cwd=PROJECT_ROOT, env=self.environment())

    def run(self, script: str, *arguments: str) -> str:
        """The output of a script of ours that calls compose. Raises Wrong with what it said."""
        done = subprocess.run(
            ["sh", script, *arguments],
            capture_output=True, text=True, check=False, cwd=PROJECT_ROOT, env=self.environment(),
        )  # fmt: skip
        require(done.returncode == 0, f"{script} {' '.join(arguments)}:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout.strip()

    def lose(self, service: str, *others: str) -> None:
        """A server's volume is gone; of `others` the containers too, with the state of their own."""
        self.compose("rm", "--stop", "--force", "--volumes", service, *others)
        docker("volume", "rm", f"{self.name}_{service}")

    def containers(self) -> dict[str, str]:
        """Service -> container, of those that run."""
        lines = self.compose("ps", "--format", "{{.Service}} {{.ID}}").splitlines()
        return dict(line.split() for line in lines)

    def health(self, service: str) -> str:
        """What Docker says of a service's container: healthy, unhealthy, starting; "" where none runs."""
        container = self.containers().get(service)
        return docker("inspect", "-f", "{{.State.Health.Status}}", container) if container else ""

    def client(self) -> Client:
        """ClickHouse as its reader, through the published port."""
        settings = Settings(
            _env_file=None,
            clickhouse_port=self.clickhouse,
            clickhouse_reader_user="reader",
            clickhouse_reader_password=SecretStr(self.passwords["reader"]),
        )
        return reader_client(settings, connect_timeout=5, send_receive_timeout=30)

    def account(self) -> dict[str, Any]:
        """The row of the query `accounting`; empty while ClickHouse does not answer."""
        try:
            with self.client() as client:
                return dict(next(iter(run_query(client, "accounting").named_results())))
        except ClickHouseError:
            return {}

    def stored(self) -> int:
        """Edits stored; -1 while ClickHouse does not answer."""
        return int(self.account().get("stored", -1))


@contextmanager
def running(keep: bool, more: dict[str, str] | None = None) -> Iterator[Stack]:
    """A stack that starts from nothing; in the end its containers, networks and volumes are gone."""
    stack = Stack(more=more or {})
    try:
        yield stack
    except BaseException:
        say(stack.compose("ps", "--all", check=False))
        say(stack.compose("logs", "--tail", "30", "--no-color", check=False))
        raise
    finally:
        if keep:
            say(f"Kept: docker compose -p {stack.name} --profile '*' down -v")
        else:
            stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)
    if not keep:
        label = f"label=com.docker.compose.project={stack.name}"
        left = [docker(*of, "ls", "-q", "--filter", label) for of in (["container"], ["network"], ["volume"])]
        require(not any(left), f"left behind: {left}")


def images() -> dict[str, str]:
    """Service -> image of compose.yaml, of those that are not ours."""
    config = json.loads(Stack().compose("config", "--format", "json"))
    return {name: service["image"] for name, service in config["services"].items() if service["image"] != IMAGE}


def build() -> str:
    """Build our image, and stand-ins for the images that are missing; what stands in, or ''. Raises Wrong."""
    began = time.monotonic()
    secret = ["--secret", f"id=ca_bundle,src={CA_BUNDLE}"] if CA_BUNDLE.exists() else []
    docker("build", *secret, "-f", "services/Dockerfile", "-t", IMAGE, ".", cwd=PROJECT_ROOT)
    say(f"built {IMAGE} in {time.monotonic() - began:.0f} s")
    wanted = sorted(images().values())
    if not all(stands_in(image) == "" for image in wanted):
        began = time.monotonic()
        missing = [tool for tool in ("mvn", "jlink") if shutil.which(tool) is None]
        require(not missing, f"{', '.join(wanted)} are not all here, and stand-ins need {', '.join(missing)}")
        environment = os.environ | ({"CA_BUNDLE": str(CA_BUNDLE)} if CA_BUNDLE.exists() else {})
        done = subprocess.run(
            [PROJECT_ROOT / "tests/standins/build.sh"], env=environment, capture_output=True, text=True, check=False
        )
        require(done.returncode == 0, f"building the stand-ins:\n{(done.stdout + done.stderr)[-3000:]}")
        say(f"built stand-ins in {time.monotonic() - began:.0f} s")
    return "; ".join(filter(None, map(stands_in, wanted)))


def stands_in(image: str) -> str | None:
    """What an image says that it stands in for: '' for a real one, None where it is not here."""
    if not docker("image", "ls", "-q", image):
        return None
    return docker("image", "inspect", "-f", f'{{{{index .Config.Labels "{STAND_IN}"}}}}', image)


def check_image() -> None:
    """Our image: its size, and that nothing private got into it."""
    size = int(docker("image", "inspect", "-f", "{{.Size}}", IMAGE))
    say(f"image: {size / 1e6:.0f} MB")
    require(size < LARGEST_IMAGE, f"the image has {size / 1e6:.0f} MB")
    history = docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)
    require(not re.search(r"(?i)(password|secret|token)[A-Z_]*=\S", history), "something like a password in the image")
    find = r"find / -xdev \( -name '.env*' -o -name '.git' -o -name '*.key' -o -name id_rsa -o -name .netrc \) -print"
    find += "; find /app -name tests; cd /app && ls -A"
    found = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", IMAGE, "-c", find).split()
    allowed = {"LICENSE", "README.md", "clickhouse", "dashboards", "pyproject.toml", "requirements.lock", "services"}
    require(not set(found) - allowed - {"wiki_battlefield.egg-info"}, f"in the image: {set(found) - allowed}")


def start(stack: Stack) -> None:
    """`docker compose up --wait`."""
    began = time.monotonic()
    stack.compose("up", "--no-build", "--wait", "--wait-timeout", f"{PATIENCE:.0f}")
    took = time.monotonic() - began
    late = "" if took < LONGEST_START else f" (over {LONGEST_START:.0f})"
    say(f"from nothing to healthy: {took:.0f} s{late}, load {os.getloadavg()[0]:.1f}")


def check_hardening(stack: Stack) -> None:
    """Each container from inside: not root, nothing to write on, no capability."""
    for service, container in stack.containers().items():
        lines = docker("exec", container, "sh", "-c", LOOK).splitlines()
        require("writable" not in lines, f"{service}: its root file system can be written")
        require(lines[0] != "0", f"{service} runs as root")
        require(set(lines) >= HARDENED, f"{service}: {lines}")
        limits = json.loads(docker("inspect", "-f", "{{json .HostConfig}}", container))
        require(limits["Memory"] and limits["NanoCpus"] and limits["PidsLimit"], f"{service} has no limits")
    say(f"hardened: {', '.join(stack.containers())}")


def bindings(container: str) -> set[tuple[str, int]]:
    """Address and port on the host of all that a container publishes; it must not share the host's own network."""
    mode = docker("inspect", "-f", "{{.HostConfig.NetworkMode}}", container)
    require(mode != "host", f"{container} is in the host's own network: all that it listens on is open")
    published = json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", container))
    return {(one["HostIp"], int(one["HostPort"])) for ports in published.values() for one in ports or []}


def listening() -> list[tuple[str, int]] | None:
    """Address and port of the host's listening TCP sockets; None where it does not show them to us (macOS)."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    return [(one.laddr[0], one.laddr[1]) for one in connections if one.status == psutil.CONN_LISTEN and one.laddr]


def proxied(containers: set[str]) -> set[tuple[str, int]]:
    """What Docker's own processes listen on for containers with these addresses, by their command lines."""
    found = set()
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "docker-proxy":
            line = process.info["cmdline"] or []
            told = dict(itertools.pairwise(line))
            if told.get("-container-ip") in containers:
                found.add((told["-host-ip"], int(told["-host-port"])))
    return found


def open_to_others(sockets: Iterable[tuple[str, int]], ports: set[int]) -> list[tuple[str, int]]:
    """Those sockets of our ports that other machines can reach."""
    return sorted({(host, port) for host, port in sockets if port in ports and not ip_address(host).is_loopback})


def check_ports(stack: Stack) -> None:
    """Two ports on this machine alone: by what Docker says, by the host's listening sockets, and by trying."""
    containers = stack.containers().values()
    ours = {stack.board, stack.clickhouse}
    published = set().union(*map(bindings, containers))
    require(published == {("127.0.0.1", port) for port in ours}, f"published: {published}")
    networks = (json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", one)) for one in containers)
    addresses = {network["IPAddress"] for those in networks for network in those.values()}
    by_proxies = proxied(addresses)
    require(by_proxies <= published, f"Docker listens on {by_proxies - published} too")
    sockets = listening()
    if sockets is not None:
        others = open_to_others(sockets, ours | {port for _, port in by_proxies})
        require(not others, f"open to other machines: {others}")
    for address in others_of_this_machine():
        for port in ours:
            with socket.socket() as probe:
                probe.settimeout(2)
                require(probe.connect_ex((address, port)) != 0, f"{address}:{port} answers, not 127.0.0.1 alone")
    seen = "not shown here" if sockets is None else f"{sum(port in ours for _, port in sockets)} of {len(sockets)} ours"
    say(
        f"published on 127.0.0.1 alone; listening sockets of this machine: {seen}, none of them open to others; "
        f"silent on {', '.join(others_of_this_machine())}"
    )


def others_of_this_machine() -> list[str]:
    """Its own addresses but for 127.*."""
    found = (one for addresses in psutil.net_if_addrs().values() for one in addresses)
    return [one.address for one in found if one.family == socket.AF_INET and not one.address.startswith("127.")]


def check_page(stack: Stack) -> None:
    """The board in a browser shows the edits that are stored; over HTTP alone where there is no browser."""
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        require(accepts(stack.board), "the board does not answer")
        say("the board answers; no Chromium here to look at it with")
        return
    from playwright.sync_api import sync_playwright  # for developers only

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(f"http://127.0.0.1:{stack.board}/?range=1h", timeout=PATIENCE * 1000)
        metrics = page.get_by_test_id("stMetricValue")
        metrics.nth(3).wait_for(timeout=PATIENCE * 1000)
        shown = sum(int(re.sub(r"\D", "", text)) for text in metrics.all_inner_texts()[:3])
        require(shown > 0, "the board shows no edits")
        require(page.get_by_text("war game").first.is_visible(), "the board does not say that a war game plays")
        browser.close()
    say(f"the board shows {shown:,} edits")


def check_memory(stack: Stack) -> None:
    """All containers together, while the game plays."""
    units = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    lines = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *stack.containers().values()).splitlines()
    used = 0.0
    for line in lines:
        number, unit = re.match(r"([\d.]+)(\w+)", line).groups()  # type: ignore[union-attr] # docker's own format
        used += float(number) * units[unit]
    say(f"memory of {len(lines)} containers: {used / 2**30:.2f} GiB")
    require(used < MOST_MEMORY, f"{used / 2**30:.2f} GiB of memory")


def is_back(container: str) -> bool:
    """Whether docker has started it again (once is what it gets here), and it is healthy."""
    told = docker("inspect", "-f", "{{.RestartCount}} {{.State.Health.Status}}", container).split()
    return int(told[0]) > 0 and told[1] == "healthy"


def kill_each(stack: Stack) -> None:
    """kill -9 of the process in each container; docker has to start it again, and it has to become healthy."""
    containers = stack.containers()
    for services in KILLED:
        began = time.monotonic()
        for service in services:
            # `docker kill` would count as a manual stop; so the process goes, under the container's init
            docker("exec", containers[service], "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)", check=False)
        for service in services:
            wait_for(partial(is_back, containers[service]), f"{service}, killed, is not healthy again")
        say(f"killed {', '.join(services)}: healthy again after {time.monotonic() - began:.0f} s")


def back_up(stack: Stack, folder: Path) -> None:
    """`make backup`, while all runs."""
    text = stack.run("scripts/compose_backup.sh", "backup", str(folder))
    say(f"backed up: {text.splitlines()[-1].partition(': ')[2]}")


def lose_clickhouse(stack: Stack, folder: Path) -> None:
    """Its volume is gone. `make restore`, `make up`: the backup comes back, and from the broker what came after it."""
    began, before = time.monotonic(), stack.stored()
    stack.lose("clickhouse", "producer", "worker")
    stack.run("scripts/compose_backup.sh", "restore", str(folder))
    restored = stack.stored()
    require(0 < restored < before, f"of {before:,} edits {restored:,} are restored: that shows nothing")
    stack.compose("up", "--no-build", "--wait", "--wait-timeout", f"{PATIENCE:.0f}")
    wait_for(lambda: stack.stored() >= before, "what the backup had not is not read again")
    took = time.monotonic() - began
    say(f"lost ClickHouse's volume: {before:,} edits are back after {took:.0f} s, {restored:,} from the backup")


def lose_redpanda(stack: Stack) -> None:
    """Its volume is gone, under a producer and a worker that run on. `make up`: nothing else is to be done."""
    began, before = time.monotonic(), stack.stored()
    stack.lose("redpanda")
    stack.compose("up", "--no-build", "--wait", "--wait-timeout", f"{PATIENCE:.0f}")
    wait_for(lambda: stack.stored() > before, "nothing is stored any more without the old log")
    wait_for(lambda: stack.health("producer") == "healthy", "the producer is not well again")
    say(f"lost Redpanda's volume under all that runs: storing again after {time.monotonic() - began:.0f} s")


def settle_and_audit(stack: Stack) -> None:
    """The stream ends; what was read must be stored, and what is stored must agree with SQL."""
    before = stack.stored()
    wait_for(lambda: stack.stored() > max(before, 0), "nothing is stored any more in the end")
    stack.compose("stop", "producer")

    def accounted() -> bool:
        row = stack.account()
        return bool(row) and row["kept"] + row["refused"] == row["stored"] + row["duplicates"] + row["dead_letters"]

    wait_for(accounted, "what was read is not what is stored")
    row = stack.account()
    text = stack.compose("run", "--rm", "--no-deps", "--no-TTY", "tools", "audit", "--json", check=False)
    try:
        reports = json.loads(text)
    except ValueError:
        raise Wrong(f"the audit did not run: {text[-2000:]}") from None
    for report in reports:
        wrong = (report["mismatches"], report["missing_offsets"], report["missing_changes"])
        require(report["passed"] and not any(wrong), f"the audit of {report['source']}: {wrong}")
        require(report["changes"], f"the audit of {report['source']} saw nothing")
    audited = sum(report["changes"] for report in reports)
    say(f"read {row['read']:,}, stored {row['stored']:,}; audit of {audited:,} changes: 0 mismatches, 0 missing")


def check_logs(stack: Stack, *passwords: str) -> None:
    """No password in what the containers wrote; `passwords`: others than its own."""
    logs = stack.compose("logs", "--no-color")
    require(len(logs) > 1000, "the containers wrote nothing?")
    secret = (*stack.passwords.values(), *passwords)
    require(not any(password in logs for password in secret), "a password stands in the logs")
    say("no password in the logs")


@contextmanager
def elsewhere(theirs: Stack, folder: Path) -> Iterator[dict[str, str]]:
    """A broker and ClickHouse of somebody else's, behind TLS and passwords; what our .env has to say of them.

    They are at the address that this machine has in Docker's own network: there a container gets by a way out alone.
    ClickHouse is that of the stack `theirs`, the broker an Apache Kafka. Raises NoKafka.
    """
    host = docker("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}")
    if host not in others_of_this_machine():
        raise NoKafka(f"{host}, where containers find this machine, is none of its addresses (Docker Desktop)")
    authority = Authority(folder, "clickhouse-ca")
    with secure_kafka(folder, host) as broker:
        theirs.compose("up", "--no-build", "--wait", "clickhouse")
        with behind_tls(theirs.clickhouse, authority.server(host), host) as port:
            yield {
                "STACK_REDPANDA": "0",
                "KAFKA_BOOTSTRAP_SERVERS": broker.address,
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
                "KAFKA_SASL_USERNAME": USER,
                "KAFKA_SASL_PASSWORD": PASSWORD,
                "KAFKA_SSL_CA_LOCATION": str(broker.authority.path),
                "STACK_CLICKHOUSE": "0",
                "CLICKHOUSE_HOST": host,
                "CLICKHOUSE_PORT": str(port),
                "CLICKHOUSE_SECURE": "true",
                "CLICKHOUSE_CA_LOCATION": str(authority.path),
                "CLICKHOUSE_USER": "writer",
                "CLICKHOUSE_PASSWORD": theirs.passwords["writer"],
                "CLICKHOUSE_READER_USER": "reader",
                "CLICKHOUSE_READER_PASSWORD": theirs.passwords["reader"],
            }


def check_managed(keep: bool) -> None:
    """With managed parts (docs/operations.md) the containers reach them, trust their CAs, and the board is well."""
    began = time.monotonic()
    with running(keep) as theirs, tempfile.TemporaryDirectory(prefix="battlefield-managed-") as folder:
        try:
            with elsewhere(theirs, Path(folder)) as settings, running(keep, settings) as stack:
                stack.compose("up", "--no-build", "--wait", "--wait-timeout", f"{PATIENCE:.0f}")
                ours = set(stack.containers())
                require(ours == {"simulator", "producer", "worker", "dashboard"}, f"with managed parts run: {ours}")
                wait_for(lambda: theirs.stored() > 1000, "nothing reaches a ClickHouse that is elsewhere")
                stack.compose("run", "--rm", "--no-deps", "--no-TTY", "tools", "query", "source")
                check_logs(stack, PASSWORD, theirs.passwords["writer"], theirs.passwords["reader"])
        except NoKafka as error:
            say(f"NOT CHECKED: managed parts. {error}")
            return
    say(f"managed parts: over SASL_SSL and TLS all is stored; {time.monotonic() - began:.0f} s")


def integration_tests() -> None:
    """The tests of the parts that a broker and ClickHouse matter to, over containers that testcontainers starts."""
    began = time.monotonic()
    names = ("producer", "worker", "backup", "durable_broker")
    tests = [f"tests/integration/test_{name}.py" for name in names]
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *tests],
            cwd=PROJECT_ROOT,
            env=os.environ | {"TEST_BACKEND": "docker"},
            stdout=output,
            stderr=output,
            check=False,
        )
        output.seek(0)
        text = output.read()
    require(done.returncode == 0, f"tests with TEST_BACKEND=docker:\n{text[-6000:]}")
    say(f"tests of {', '.join(names)} over containers: {text.splitlines()[-1].strip('= ')}")
    say(f"  in {time.monotonic() - began:.0f} s")


@click.command()
@click.option("--keep", is_flag=True, help="Leave the stack running at the end.")
@click.option("--build-only", is_flag=True, help="Build the images and end.")
@click.option("--tests/--no-tests", default=False, help="Run the integration tests over containers, too: minutes.")
def command(keep: bool, build_only: bool, tests: bool) -> None:
    """Check the stack of compose.yaml on this machine's Docker engine."""
    if shutil.which("docker") is None or not docker("version", "-f", "{{.Server.Version}}", check=False):
        say("NOT CHECKED: the containers. No Docker engine answers here.")
        return
    began = time.monotonic()
    try:
        standing_in = build()
        if build_only:
            return
        say(f"{standing_in}." if standing_in else "With the real images of Redpanda and ClickHouse.")
        check_image()
        with running(keep) as stack, tempfile.TemporaryDirectory(prefix="battlefield-check-") as folder:
            start(stack)
            check_hardening(stack)
            check_ports(stack)
            wait_for(lambda: stack.stored() > 1000, "nothing is stored")
            check_page(stack)
            check_memory(stack)
            backup = Path(folder) / "backup"
            back_up(stack, backup)
            kill_each(stack)
            lose_clickhouse(stack, backup)
            lose_redpanda(stack)
            settle_and_audit(stack)
            check_logs(stack)
        check_managed(keep)
        if tests:
            integration_tests()
    except Wrong as error:
        say(f"WRONG: {error}")
        sys.exit(1)
    say(f"The containers are well ({time.monotonic() - began:.0f} s){'; stand-ins as said above' * bool(standing_in)}.")


if __name__ == "__main__":
    command()
