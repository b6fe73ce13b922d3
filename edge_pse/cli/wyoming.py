"""``edge-pse wyoming``: between Home Assistant and its speech-to-text, which then hears the enrolled voice alone."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import click

import edge_pse
from edge_pse import assistant
from edge_pse.cli import options
from edge_pse.cli.named_path import NamedPath
from edge_pse.cli.profile_watch import ProfileWatch
from edge_pse.cli.stopping import stop_on_signals
from edge_pse.errors import AssistantError
from edge_pse.profiles import Profile
from edge_pse.service import Service
from edge_pse.speakers import ERRORS
from edge_pse.text import shown


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
@click.option(
    "--strangers",
    type=click.Choice(["empty", "pass"]),
    help="Where nobody enrolled is heard: an empty transcript, or all is passed on as it came. Without it, what the "
    "network leaves of them.",
)
@click.option(
    "--tag",
    type=click.Choice(["text", "context"]),
    help="Give the name of who spoke: in front of the transcript, or as `speaker` in its context.",
)
@click.option(
    "--record",
    "folder",
    type=NamedPath(file_okay=False),
    metavar="FOLDER",
    help="Keep the sound of the last 100 commands, as heard and as sent on, to find out what goes wrong.",
)
@options.general
@options.model
@options.backend
def wyoming(
    service: str,
    uri: str,
    names: tuple[str, ...],
    enrolled: str | None,
    strangers: str | None,
    tag: str | None,
    folder: Path | None,
    general: bool,
    model_name: str,
    backend: str,
) -> None:
    """Stand between Home Assistant and its speech-to-text, until Ctrl-C.

    The speech-to-text is any Wyoming service. What it is sent is the voices of the profiles, without the television and
    without others in the room, while it is spoken.
    """
    if (strangers or tag) and not (names or enrolled):
        raise click.UsageError("--strangers and --tag need somebody who is enrolled: --profile or --enroll.")
    if not assistant.installed():
        raise AssistantError(
            "The package wyoming is missing: `pip install '.[assistant]'` in the checkout, or `pip install wyoming`."
        )
    from edge_pse.assistant.command import Behind
    from edge_pse.assistant.enrolling import ENROLLED_S, CommandEnrollment
    from edge_pse.assistant.network import Network
    from edge_pse.assistant.protocol import Address, Limits
    from edge_pse.assistant.proxy import Proxy, is_loopback, serve
    from edge_pse.assistant.recogniser import Recogniser
    from edge_pse.assistant.recordings import MOST_COMMANDS, Recordings
    from edge_pse.assistant.reply import Policy, Strangers, Tag

    address, behind = Address.of(uri), Address.of(service)
    model = edge_pse.Model.load(model_name, backend)
    pattern = edge_pse.Enhancer(model, options.load_profiles(names, general))
    policy = Policy(Strangers(strangers or Strangers.KEPT_FROM), Tag(tag or Tag.NOWHERE))
    if policy.asks:
        pattern.identify(lambda heard: None)  # a model that can't is refused now
        pattern.identify(None)
        click.echo(f"Who speaks is a guess. {ERRORS}")
    recordings = None if folder is None else Recordings(folder, _say)
    if recordings is not None:
        click.echo(f"ALL THAT IS SAID IS RECORDED to {folder}, the last {MOST_COMMANDS} commands.")
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
    proxy = Proxy(Behind(Recogniser(behind, Limits()), network, enrollment, policy, recordings), _say)
    kept = f"keeps {', '.join(dict.fromkeys(names))}" if names else "keeps every voice"

    stop, manager = threading.Event(), Service()
    stop_on_signals(stop)

    def listening(port: int) -> None:
        _say(f"Listening on {Address(address.host, port)}, before the speech-to-text at {behind}; {kept}.")

    with ProfileWatch(pattern, partial(options.load_profile, general=general), _say):
        serve(proxy, address, stop, listening, manager.alive)
    manager.stopping()
    network.close()


def _say(sentence: str) -> None:
    click.echo(shown(sentence), err=True)
