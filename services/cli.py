"""The `battlefield` command: one sub-command per role, loaded only when it is called.

Loading late keeps `battlefield --help` at a tenth of a second and keeps a producer from importing Quix.
"""

import importlib
import sys

import click

from services.common.reach import NotConnected
from services.common.settings import InvalidSettings

# sub-command -> (module with a click command named `command`, one-line help)
COMMANDS = {
    "up": ("services.embedded.up", "Run the whole stack on this machine, without Docker."),
    "produce": ("services.producer.command", "Read Wikipedia's changes and put them on the broker."),
    "work": ("services.worker.command", "Compute windows and reverts into ClickHouse."),
    "dashboard": ("services.common.dashboard", "Show the board at http://127.0.0.1:8501."),
    "migrate": ("services.common.migrations", "Bring ClickHouse's tables and the broker's topics up to date."),
    "simulate": ("services.simulator.command", "Serve a recording or a war game as EventStreams would."),
    "notify": ("services.notifier.command", "Tell a webhook of battles and three-revert breaches."),
    "status": ("services.audit.status_command", "Tell how each part is, and how far behind."),
    "audit": ("services.audit.audit_command", "Recompute the results in SQL and compare them row for row."),
    "rebuild": ("services.audit.rebuild_command", "Write the recomputed results over a span of time."),
    "backup": ("services.backup.backup_command", "Save ClickHouse's tables into a folder."),
    "restore": ("services.backup.restore_command", "Write a backup into empty tables."),
    "replay-dead-letters": ("services.producer.replay_command", "Send on what was refused and is accepted by now."),
    "query": ("services.common.query_command", "Run a named query of clickhouse/queries."),
    "health": ("services.common.health_command", "Tell whether a part is alive, for container health checks."),
}
HIDDEN_COMMANDS = {
    "serve-broker": ("services.embedded.broker", "The embedded Kafka-API broker (a part of `up`)."),
    "serve-clickhouse": ("services.embedded.endpoint", "The embedded ClickHouse endpoint (a part of `up`)."),
}


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The documented sub-commands, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one sub-command; None for a name that is not ours, which click reports."""
        entry = COMMANDS.get(cmd_name) or HIDDEN_COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry[0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry[0]}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List from the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup)
def cli() -> None:
    """Wiki Battlefield: the live stream of Wikipedia edits as a real-time battlefield."""


def arguments_of(given: list[str]) -> list[str]:
    """What follows the program's name.

    Platforms differ in whether a start command takes the place of the image's entry point, which is this program, or
    follows it. `battlefield work` is understood by both.
    """
    return given[1:] if given[:1] == ["battlefield"] else given


def main() -> None:
    """Entry point; a faulty setting ends it with one clear message and status 2, a server that is missing with 1."""
    try:
        cli(arguments_of(sys.argv[1:]), prog_name="battlefield")
    except InvalidSettings as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except NotConnected as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
