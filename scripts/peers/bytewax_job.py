"""The job in Bytewax. `python -m scripts.peers.bytewax_job`; RECOVERY_DIR switches recovery on."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from scripts.peers.common import FRONTS, PAIRS, WAIT_DAYS, WINDOW, insert, reverted_by, tell_changes, tell_done

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOLD = 20_000  # changes


class Change(msgspec.Struct, gc=False):
    """What the job needs of a change: the decoder skips the rest."""

    wiki: str
    title: str
    type: str
    user: str
    actor: str
    comment: str
    timestamp: int
    rev_id: int = 0
    length_old: int | None = None
    length_new: int | None = None


decode = msgspec.json.Decoder(list[Change]).decode
Tallies = tuple[int, int, int, int]


class Table(DynamicSink[Any]):
    """A table of ClickHouse."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        self._table, self._columns = table, columns

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[Any]:
        """Bytewax asks for one each worker."""
        return Rows(self._table, self._columns)


class Rows(StatelessSinkPartition[Any]):
    """Gathers rows, so that an insert is worth its while."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        self._table, self._columns, self._rows = table, columns, []  # type: ignore[var-annotated]

    def write_batch(self, items: list[Any]) -> None:
        """Some rows."""
        self._rows += items
        if len(self._rows) >= 20_000:
            self.close()

    def close(self) -> None:
        """The last ones."""
        insert(os.environ["PEER_DATABASE"], self._table, self._columns, list(zip(*self._rows, strict=True)))
        self._rows = []


class Reader:
    """Decodes, and counts."""

    seen = told = 0

    def __call__(self, message: Any) -> list[Change]:
        changes = decode(message.value)
        self.seen += len(changes)
        if self.seen - self.told >= TOLD:
            self.told = self.seen
            tell_changes(self.seen)
        return changes


def grown(change: Change) -> int:
    """Bytes by which the page grew."""
    if change.length_new is None or (change.length_old is None and change.type != "new"):
        return 0
    return change.length_new - (change.length_old or 0)


def fold(tally: Tallies, change: Change) -> Tallies:
    """One change more."""
    size = grown(change)
    return (tally[0] + 1, tally[1] + (change.type == "new"), tally[2] + max(size, 0), tally[3] + max(-size, 0))


def merge(a: Tallies, b: Tallies) -> Tallies:
    """Two windows that become one: tumbling ones never do."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])


def front(item: tuple[str, tuple[int, Tallies]]) -> tuple[Any, ...]:
    """A row of a closed window."""
    key, (window, tally) = item
    return (window * WINDOW, *key.split("|"), *tally, 0)


def pair(change: Change) -> tuple[Any, ...] | None:
    """A row where the change is a revert that names whom."""
    other = reverted_by(change.wiki, change.comment, change.user) if change.type == "edit" and change.comment else ""
    return (change.wiki, change.title, change.rev_id, change.user, other) if other else None


def dataflow() -> Dataflow:
    """Kafka -> windows and pairs -> ClickHouse."""
    flow = Dataflow("peer")
    source = KafkaSource([os.environ["KAFKA_BOOTSTRAP_SERVERS"]], ["wiki.edits"], tail=False, batch_size=16)
    changes = op.flat_map("decode", op.input("kafka", flow, source), Reader())
    counted = op.filter("counted", changes, lambda change: change.type != "log")
    clock = EventClock(
        ts_getter=lambda change: datetime.fromtimestamp(change.timestamp, UTC),
        wait_for_system_duration=timedelta(days=WAIT_DAYS),
    )
    windower = TumblingWindower(length=timedelta(seconds=WINDOW), align_to=EPOCH)
    keyed = op.key_on("key", counted, lambda change: f"{change.wiki}|{change.actor}")
    windows = windowing.fold_window("windows", keyed, clock, windower, lambda: (0, 0, 0, 0), fold, merge, ordered=False)
    op.output("fronts", op.map("front", windows.down, front), Table("fronts", FRONTS))
    op.output("pairs", op.filter_map("pair", changes, pair), Table("pairs", PAIRS))
    return flow


def main() -> None:
    """Until the end of the topic."""
    folder = os.environ.get("RECOVERY_DIR")
    recovery = None
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        init_db_dir(Path(folder), 1)
        recovery = RecoveryConfig(folder)
    cli_main(dataflow(), recovery_config=recovery)  # an epoch, after which its state is kept, is of 10 s
    tell_done()


if __name__ == "__main__":
    main()
