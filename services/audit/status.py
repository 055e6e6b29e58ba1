"""How each part is: from its heartbeat, and by asking ClickHouse and the broker, never longer than LIMIT seconds."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.common.clickhouse import reader_client, refusal
from services.common.health import examine
from services.common.heartbeat import STALE_AFTER, Heartbeat, read_heartbeat
from services.common.kafka import connect
from services.common.queries import run_query
from services.common.reach import NotConnected
from services.common.settings import Settings

LIMIT = 4.0  # seconds that ClickHouse and the broker get to answer, both at once
TIMEOUT = 3  # seconds, of their clients


class Part(msgspec.Struct):
    """One part: a process with a heartbeat, or a server that was asked."""

    name: str
    well: bool
    state: str  # or what is wrong with it
    age: float | None = None  # seconds since its heartbeat
    rate: float | None = None  # changes/s
    lag_s: float | None = None  # producer: seconds from the newest change read to now
    lag: dict[str, int] = {}  # worker: messages behind, by partition of wiki.edits
    position: dict[str, int] = {}  # producer: source offset behind which it would go on, by topic/partition
    figures: dict[str, Any] = {}  # all that the part tells of itself
    last_error: str = ""


class Status(msgspec.Struct):
    """Everything that is known now."""

    data_dir: str
    parts: list[Part]
    freshness_s: float | None = None  # from the newest event stored to now; None: nothing is stored, or not live
    workers: int = 0  # of the consumer group, those with a heartbeat
    group_lag: int | None = (
        None  # messages that wait for all of them together: the signal to scale out; None: no worker
    )

    @property
    def well(self) -> bool:
        """Whether all is well."""
        return all(part.well for part in self.parts)


def status(settings: Settings) -> Status:
    """Ask all parts at once. Raises nothing: what fails is what it tells."""
    asked = _ask_all({"clickhouse": lambda: _ask_clickhouse(settings), "broker": lambda: _ask_broker(settings)})
    parts = {beat.role: _part(beat) for beat in _heartbeats(settings.data_dir)}
    for missing in ({"producer"} - parts.keys()) | ({"worker"} if not _workers(parts) else set()):
        parts[missing] = Part(missing, False, f"no heartbeat in {settings.data_dir / 'heartbeats'}")
    freshness = None
    for name, answer in asked.items():
        # the embedded ones have heartbeats too; that they answer is what counts
        part = parts.get(name) or Part(name, True, "running")
        if isinstance(answer, Exception):
            refuses = isinstance(answer, NotConnected) and answer.is_lasting
            part.well, part.state = False, "refuses" if refuses else "does not answer"
            part.last_error = str(answer)
        elif name == "clickhouse":
            part.figures, freshness = {**part.figures, **answer}, answer["freshness_s"]
        else:
            part.figures = {**part.figures, **answer}
        parts[name] = part
    # one that has died may have left figures of partitions that others have by now
    workers = [name for name in _workers(parts) if parts[name].well]
    lag = sum(sum(parts[name].lag.values()) for name in workers) if workers else None
    return Status(str(settings.data_dir), [parts[name] for name in sorted(parts)], freshness, len(workers), lag)


def _workers(parts: dict[str, Part]) -> list[str]:
    return [name for name in parts if "lag_by_partition" in parts[name].figures]


def _heartbeats(data_dir: Path) -> list[Heartbeat]:
    roles = [path.stem for path in (data_dir / "heartbeats").glob("*.json")]
    return [beat for beat in (read_heartbeat(data_dir, role) for role in roles) if beat is not None]


def _part(beat: Heartbeat) -> Part:
    well, state = examine(beat, STALE_AFTER)
    figures = beat.figures
    return Part(
        beat.role,
        well,
        state,
        round(beat.age, 1),
        figures.get("rate"),
        figures.get("lag_s"),
        figures.get("lag_by_partition", {}),
        figures.get("position", {}),
        figures,
        beat.last_error,
    )


def _ask_all(questions: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, dict[str, Any] | Exception]:
    """Answers or errors, after LIMIT seconds at most: a server that hangs must not hang us."""
    answers: dict[str, dict[str, Any] | Exception] = {}

    def ask(name: str, question: Callable[[], dict[str, Any]]) -> None:
        try:
            answers[name] = question()
        except Exception as error:
            answers[name] = error

    # daemons: one that still waits does not keep the process from ending
    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in questions.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = TimeoutError(f"no answer within {LIMIT:g} s")
    return {name: answers.get(name, silent) for name in questions}


def _ask_clickhouse(settings: Settings) -> dict[str, Any]:
    options = {"connect_timeout": TIMEOUT, "send_receive_timeout": TIMEOUT, "query_retries": 0}
    try:
        with reader_client(settings, **options) as client:
            sources = list(run_query(client, "source").named_results())
            version = next(iter(run_query(client, "versions").named_results()))
    except ClickHouseError as error:
        why = refusal(settings, error, reader=True)
        raise NotConnected(str(why), is_lasting=why.is_lasting) from error
    told: dict[str, Any] = {"version": version["clickhouse"], "migration": version["migration"], "freshness_s": None}
    for source in sources:
        told |= {"plays": source["kind"], "newest_event": source["newest_event"].isoformat()}
        if source["kind"] == "live":
            told["freshness_s"] = float(source["quiet_seconds"])
    return told


def _ask_broker(settings: Settings) -> dict[str, Any]:
    metadata = connect(settings, TIMEOUT, patient=False).list_topics(timeout=TIMEOUT)
    return {"brokers": len(metadata.brokers), "topics": len(metadata.topics)}
