"""Starting the page: Streamlit's server in this process, with our routes beside it."""

from __future__ import annotations

import os
from pathlib import Path

from ui.app.routes import OUR_NAMES

MAX_UPLOAD_MB = 50
_ACCENT = "#c8431d"  # white on it reaches 4.9 : 1; the logo's own orange 3.7


def run(library: Path, host: str, port: int, *, open_browser: bool) -> None:
    """Serve the page on a library until the process is interrupted.

    Args:
        library: need not exist yet; the page then says how to fill it.
        host: address to listen on. Only requests to this machine's own name are answered, so an address other than the
            loopback serves a container's published port or a proxy, not the network.
    """
    import streamlit as st

    from ui.api import routes as api_routes
    from ui.app.routes import routes

    os.environ["SECONDSIGHT_LIBRARY"] = str(library.absolute())
    page = str(Path(__file__).with_name("main.py"))
    app = st.App(page, routes=[*routes(), *api_routes()], on_script_error=_on_defect)
    app.run(config=_options(host, port, open_browser))


def _on_defect(error: Exception) -> bool:
    """One line and a log, in place of Streamlit's box with its links to other sites."""
    import streamlit as st

    from ui.app.shown import markdown
    from ui.console import defect

    st.error(markdown(defect(error), 1000), icon=":material/error:")
    return True


def _options(host: str, port: int, open_browser: bool) -> dict[str, object]:
    light = {"backgroundColor": "#fbfaf8", "secondaryBackgroundColor": "#f0eeea", "textColor": "#1d1b19"}
    dark = {"backgroundColor": "#141416", "secondaryBackgroundColor": "#212124", "textColor": "#ecebe8"}
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": not open_browser,
        "logger.hideWelcomeMessage": True,  # our own line has said it
        "server.allowedHosts": list(OUR_NAMES),
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": host,
        "runner.magicEnabled": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "theme.primaryColor": _ACCENT,
        "theme.baseRadius": "10px",
        **{f"theme.light.{name}": value for name, value in light.items()},
        **{f"theme.dark.{name}": value for name, value in dark.items()},
    }
