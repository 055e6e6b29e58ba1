"""`battlefield health ROLE`: does a part still get round its loop? For container health checks."""

import sys

import click

from services.common.health import examine
from services.common.heartbeat import STALE_AFTER, read_heartbeat
from services.common.settings import get_settings


@click.command("health")
@click.argument("role")
@click.option("--max-age", default=STALE_AFTER, show_default=True, help="Seconds that the last heartbeat may be old.")
def command(role: str, max_age: float) -> None:
    """Exit 0 when ROLE (`producer`, `worker-1`, ...) is alive and at work, else 1; either way say so in one line."""
    healthy, state = examine(read_heartbeat(get_settings().data_dir, role), max_age)
    click.echo(f"{role}: {state}")
    sys.exit(0 if healthy else 1)
