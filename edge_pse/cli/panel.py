"""``edge-pse panel``: a page in the browser, for machines without a screen and people without a terminal."""

from __future__ import annotations

import socket

import click

from edge_pse import panel as parts_of_panel
from edge_pse.errors import ControlError


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:10360",
    show_default=True,
    metavar="ADDRESS[:PORT]",
    help="Where. 0.0.0.0 opens it to the network, for a phone. There is no encryption: whoever can listen on that "
    "network can take the link from it, and hear what you choose to hear.",
)
@click.option("--open", "show", is_flag=True, help="Open the page in the browser of this machine.")
@click.option("--new-link", is_flag=True, help="Make another link; the one before leads nowhere from now on.")
def panel(listen: str, show: bool, new_link: bool) -> None:
    """Serve a page from which a stream is started, seen and changed, until Ctrl-C.

    It prints the link of the page. Whoever has the link can do what the page can: keep it to yourself. Where the panel
    runs already, its link is printed, and nothing else is done.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ControlError("There is no panel here: it needs Unix sockets, and this system has none.")
    if not parts_of_panel.installed():
        raise ControlError(
            "What serves the page is missing: `pip install '.[panel]'` in the checkout, or "
            "`pip install starlette uvicorn`."
        )
    from edge_pse.panel import serving

    address = serving.Address.of(listen)
    other = serving.running()
    if other is None:
        serving.token(renew=new_link)
        serving.begin(address, show)
    if new_link:
        raise ControlError(f"The panel runs, at {other}: end it, then make a new link.")
    serving.announce(other, show)
