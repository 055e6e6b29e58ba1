"""`battlefield dashboard`: Streamlit on 127.0.0.1 with the project's own settings."""

import os
import sys

import click

from services.common.settings import PROJECT_ROOT, get_settings


@click.command("dashboard")
@click.option("--address", default="127.0.0.1", show_default=True, help="The address to listen on.")
def command(address: str) -> None:
    """Show the board; ends on SIGTERM or Ctrl-C."""
    port = get_settings().dashboard_port
    app = PROJECT_ROOT / "dashboards" / "app.py"
    # Streamlit finds .streamlit/config.toml in the working directory only
    os.chdir(PROJECT_ROOT / "dashboards")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    arguments = ["--server.address", address, "--server.port", str(port), "--server.headless", "true"]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(app), *arguments])  # noqa: S606 - no shell wanted
