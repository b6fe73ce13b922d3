"""``edge-pse wyoming``: between Home Assistant and its speech-to-text, which then hears the enrolled voice alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import click

import edge_pse
from edge_pse import assistant
from edge_pse.cli import options
from edge_pse.cli.profile_watch import ProfileWatch
from edge_pse.cli.stopping import stop_on_signals
from edge_pse.errors import AssistantError
from edge_pse.profiles import Profile
from edge_pse.service import Service
from edge_pse.text import shown

if TYPE_CHECKING:
    from edge_pse.assistant.protocol import Address

_HEARTBEAT_S = 5.0


@click.command()
@click.option(
    "--asr",
    "service",
    required=True,
    metavar="URI",
    help="Where the speech-to-text service listens, such as tcp://127.0.0.1:10300.",
)
@click.option(
    "--uri",
    default="tcp://127.0.0.1:10350",
    show_default=True,
    metavar="URI",
    help="Where to listen. Other machines reach tcp://0.0.0.0:10350, and nothing keeps them out but a firewall.",
)
@options.profiles
@click.option(
    "--enroll",
    "enrolled",
    metavar="NAME",
    help="Make this profile, or add to it, from the next commands; then go on with it.",
)
@options.general
@options.model
@options.backend
def wyoming(
    service: str,
    uri: str,
    names: tuple[str, ...],
    enrolled: str | None,
    general: bool,
    model_name: str,
    backend: str,
) -> None:
    """Stand between Home Assistant and its speech-to-text, until Ctrl-C.

    The speech-to-text is any Wyoming service. What it is sent is the voices of the profiles, without the television and
    without others in the room, while it is spoken.
    """
    if not assistant.installed():
        raise AssistantError(
            "The package wyoming is missing: `pip install '.[assistant]'` in the checkout, or `pip install wyoming`."
        )
    from edge_pse.assistant.command import Behind
    from edge_pse.assistant.enrolling import ENROLLED_S, CommandEnrollment
    from edge_pse.assistant.network import Network
    from edge_pse.assistant.protocol import Address, Limits
    from edge_pse.assistant.proxy import Proxy, is_loopback

    address, behind = Address.of(uri), Address.of(service)
    model = edge_pse.Model.load(model_name, backend)
    pattern = edge_pse.Enhancer(model, options.load_profiles(names, general))
    network = Network(pattern)
    if not is_loopback(address):
        click.echo(
            f"Whoever reaches {address} over the network can use this service, and what is said goes there and back as "
            "it is: Wyoming knows neither passwords nor encryption. Have a firewall let in Home Assistant alone."
        )
    enrollment = None
    if enrolled is not None:

        def done(profile: Profile) -> None:
            others = tuple(other for other in pattern.profiles if other.name != profile.name)
            pattern.profiles = (*others, profile)

        enrollment = CommandEnrollment(enrolled, model, edge_pse.ProfileStore(), ENROLLED_S, done)
        click.echo(
            f"The next commands are {enrolled}'s, and go no further, until there are {ENROLLED_S:.0f} s."
        )
    proxy = Proxy(Behind(behind, network, Limits(), enrollment), _say)
    kept = f"keeps {', '.join(dict.fromkeys(names))}" if names else "keeps every voice"

    def listening(port: int) -> None:
        _say(f"Listening on {Address(address.host, port)}, before the speech-to-text at {behind}; {kept}.")

    with ProfileWatch(pattern, partial(options.load_profile, general=general), _say):
        asyncio.run(_serve(proxy.run, address, listening))
    network.close()


def _say(sentence: str) -> None:
    click.echo(shown(sentence), err=True)


async def _serve(
    run: Callable[[Address, asyncio.Event, Callable[[int], object]], Awaitable[None]],
    address: Address,
    on_listening: Callable[[int], object],
) -> None:
    """Until a signal tells to stop; a service manager hears meanwhile that all is well."""
    asked, stop, manager = threading.Event(), asyncio.Event(), Service()
    stop_on_signals(asked)
    tasks = [asyncio.create_task(_until(asked, stop))]

    def listening(port: int) -> None:
        on_listening(port)
        tasks.append(asyncio.create_task(_beat(manager)))

    try:
        await run(address, stop, listening)
        manager.stopping()
    finally:
        asked.set()
        for task in tasks[1:]:
            task.cancel()
        await asyncio.wait(tasks)


async def _until(asked: threading.Event, stop: asyncio.Event) -> None:
    await asyncio.get_running_loop().run_in_executor(None, asked.wait)
    stop.set()


async def _beat(manager: Service) -> None:
    while True:
        manager.alive()
        await asyncio.sleep(_HEARTBEAT_S)
