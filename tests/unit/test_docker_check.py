"""What `make containers` takes for open to other machines; the rest of it needs an engine."""

import pytest

from scripts.docker_check import listening, open_to_others
from services.embedded.ports import free_port


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7", "::ffff:192.0.2.7"])
def test_a_socket_of_ours_on_any_other_address_is_open(address: str) -> None:
    assert open_to_others([("127.0.0.1", 8501), (address, 8123)], {8501, 8123}) == [(address, 8123)]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_this_machine_alone_is_not_and_other_ports_are_not_ours(address: str) -> None:
    assert open_to_others([(address, 8501), ("0.0.0.0", 22)], {8501}) == []


def test_the_sockets_of_this_machine_are_seen() -> None:
    import socket

    port = free_port()
    with socket.create_server(("0.0.0.0", port)):
        sockets = listening()
        if sockets is None:
            pytest.skip("this system does not show them")
        assert open_to_others(sockets, {port}) == [("0.0.0.0", port)]
