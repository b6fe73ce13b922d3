"""``edge-pse panel``: a page in the browser, for machines without a screen and people without a terminal."""

from __future__ import annotations

import socket

import click

from edge_pse import panel as parts_of_panel
from edge_pse.errors import ControlError
from edge_pse.service import Service


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
@click.option(
    "--install",
    "installs",
    is_flag=True,
    help="Make it a service that runs whenever you are logged in and, on a desktop, put it into the menu.",
)
@click.option(
    "--uninstall",
    "uninstalls",
    is_flag=True,
    help="Take the service, the entry in the menu and the link away.",
)
def panel(listen: str, show: bool, new_link: bool, installs: bool, uninstalls: bool) -> None:
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
    from edge_pse.panel import installation, serving

    if installs and uninstalls:
        raise click.UsageError("Give only one of --install and --uninstall.")
    serving.folder()  # who has none is told so before anything else
    address = serving.Address.of(listen)
    if installs or uninstalls:
        for sentence in installation.uninstall() if uninstalls else installation.install(address):
            click.echo(sentence)
        return
    other = serving.running()
    if other is None:
        serving.token(renew=new_link)
        serving.begin(address, show)
    if Service().managed:  # else its journal would get the link
        raise ControlError(f"The panel runs already, at {other}: end that one first.")
    if new_link:
        raise ControlError(f"The panel runs, at {other}: end it, then make a new link.")
    serving.announce(other, show)
