"""`battlefield health ROLE`: does a part still get round its loop? For container health checks."""

import sys

import click

from services.common.heartbeat import STALE_AFTER, Heartbeat, read_heartbeat
from services.common.settings import get_settings

# a part that waits for the source or for ClickHouse is well: restarting it would not bring them back
HEALTHY_STATES = ("running", "waiting")


def examine(heartbeat: Heartbeat | None, max_age: float) -> tuple[bool, str]:
    """Whether a part is well, and its state or what is wrong with it. `max_age` in seconds."""
    if heartbeat is None:
        return False, "no heartbeat yet"
    if heartbeat.age > max_age:
        return False, f"last heartbeat {heartbeat.age:.0f} s ago: it hangs or has ended"
    return heartbeat.state in HEALTHY_STATES, heartbeat.state


@click.command("health")
@click.argument("role")
@click.option("--max-age", default=STALE_AFTER, show_default=True, help="Seconds that the last heartbeat may be old.")
def command(role: str, max_age: float) -> None:
    """Exit 0 when ROLE (`producer`, `worker-1`, ...) is alive and at work, else 1; either way say so in one line."""
    healthy, state = examine(read_heartbeat(get_settings().data_dir, role), max_age)
    click.echo(f"{role}: {state}")
    sys.exit(0 if healthy else 1)
