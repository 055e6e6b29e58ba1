"""A producer that delivers nothing says so, and ends where waiting does not help."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError

from services.common.health import examine
from services.common.heartbeat import read_heartbeat
from services.common.settings import Settings
from services.producer import command
from services.producer.broker import Broker, DeliveryFailed, LogLost
from services.producer.command import Intake
from services.producer.ledger import Ledger


class SilentBroker:
    """Acknowledges nothing; answers or not."""

    def __init__(self, answers: bool, silent_for: float = 99.0) -> None:
        self.silent_for = silent_for
        self._answers = answers

    def could_take(self) -> bool:
        return self._answers


def intake(tmp_path: Path, broker: SilentBroker) -> Any:
    return Intake(Settings(_env_file=None, data_dir=tmp_path), broker, Ledger())  # type: ignore[arg-type] # a stub


async def watch(made: Any, seconds: float) -> None:
    await asyncio.wait_for(made._watch_forever(), seconds)


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(command, "GIVE_UP", 0.03)


async def test_it_ends_where_the_broker_answers_and_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DeliveryFailed, match="answers, and has acknowledged nothing for 99 s"):
        await watch(intake(tmp_path, SilentBroker(answers=True)), 5)


@pytest.mark.parametrize("broker", [SilentBroker(answers=False), SilentBroker(answers=True, silent_for=5)])
async def test_it_waits_for_one_that_is_away_or_only_slow(tmp_path: Path, broker: SilentBroker) -> None:
    with pytest.raises(TimeoutError):
        await watch(intake(tmp_path, broker), 0.3)


@pytest.mark.parametrize("answers", [True, False])
def test_whatever_keeps_the_broker_it_is_not_well(tmp_path: Path, answers: bool) -> None:
    made = intake(tmp_path, SilentBroker(answers))
    made._state = "running"
    made._beat()
    beat = read_heartbeat(tmp_path, "producer")
    assert beat is not None
    assert examine(beat, 15) == (False, "not delivering")
    assert beat.last_error == "the broker has acknowledged nothing for 99 s"
    assert beat.figures["not_acknowledged_s"] == 99


def test_a_fatal_error_and_an_offset_given_again_end_it_and_others_do_not() -> None:
    settings = Settings(_env_file=None)
    broker = object.__new__(Broker)  # without a connection
    broker._settings, broker._failure, broker._lost = settings, None, ""
    broker._producer = type("Nothing", (), {"poll": lambda *_: 0})()
    broker._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    broker.poll()
    broker._on_error(KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "sequence", fatal=True))
    with pytest.raises(DeliveryFailed, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
        broker.poll()
    broker._lost = "offset 0 was given again"
    with pytest.raises(LogLost):
        broker.poll()
