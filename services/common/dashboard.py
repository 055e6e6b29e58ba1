"""`battlefield dashboard`: Streamlit with the project's own settings."""

import os
import sys

import click

from services.common.settings import PROJECT_ROOT, get_settings


@click.command("dashboard")
@click.option("--address", help="The address to listen on.  [default: LISTEN_ADDRESS, 127.0.0.1]")
def command(address: str | None) -> None:
    """Show the board at DASHBOARD_PORT, or at PORT where a platform gives one; ends on SIGTERM or Ctrl-C."""
    settings = get_settings()
    port = settings.port or settings.dashboard_port
    app = PROJECT_ROOT / "dashboards" / "app.py"
    # Streamlit finds .streamlit/config.toml in the working directory only; there is no .env there
    os.environ |= settings.as_environment()
    os.chdir(PROJECT_ROOT / "dashboards")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]))
    where = ["--server.address", address or settings.listen_address, "--server.port", str(port)]
    arguments = [*where, "--server.headless", "true"]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(app), *arguments])  # noqa: S606 - no shell wanted
