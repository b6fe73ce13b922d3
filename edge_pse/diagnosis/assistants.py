"""Assistants: whether what speaks their protocol is here, and whether the speech-to-text answers."""

from __future__ import annotations

import shlex
from pathlib import Path

from platformdirs import user_config_path

from edge_pse import assistant
from edge_pse.diagnosis.finding import Finding, ok, warn
from edge_pse.errors import AssistantError

_VARIABLE = "EDGE_PSE_WYOMING_OPTIONS="
_ANSWER_S = 3.0


def speech_to_text(options: Path | None = None) -> Finding:
    """Whether the speech-to-text that the service of ``edge-pse wyoming`` is told of answers.

    ``options``: the file with what it is told; without it, that of this user.
    """
    if not assistant.installed():
        return ok(
            "Home Assistant is not served, and nothing else needs that. To set it up: pip install '.[assistant]'"
        )
    options = options or _options()
    uri = None if options is None else _uri(options)
    if options is None or uri is None:
        return ok("edge-pse wyoming can serve Home Assistant; no service does.")
    return _asked(uri, options)


def _asked(uri: str, options: Path) -> Finding:
    import asyncio

    from edge_pse.assistant.description import described, program_of
    from edge_pse.assistant.protocol import Address, Limits
    from edge_pse.assistant.recogniser import Recogniser, ServiceError

    try:
        address = Address.of(uri)
        recogniser = Recogniser(address, Limits(connect_s=_ANSWER_S))
        info = asyncio.run(asyncio.wait_for(described(recogniser), _ANSWER_S))
    except TimeoutError:
        return warn(f"The speech-to-text at {address} does not answer.", "Restart it.")
    except (ServiceError, AssistantError) as error:
        return warn(str(error), f"The options are in {options}.")
    names = ", ".join(program_of(str(program.get("name"))) for program in info.data["asr"])
    return ok(f"The speech-to-text at {address} answers: {names}.")


def _options() -> Path | None:
    """Where this user's are, if there is a home."""
    try:
        return user_config_path("edge-pse") / "wyoming.conf"
    except RuntimeError:
        return None


def _uri(options: Path) -> str | None:
    """What ``--asr`` is in a file of options, the last time that it is given; None without one."""
    try:
        lines = options.read_text(encoding="utf-8", errors="replace").splitlines()
        given = [line.removeprefix(_VARIABLE) for line in lines if line.startswith(_VARIABLE)]
        words = shlex.split(given[-1]) if given else []
        if len(words) == 1:  # all in quotation marks
            words = shlex.split(words[0])
    except (OSError, ValueError):
        return None
    uri = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--asr":
            uri = following
        if word.startswith("--asr="):
            uri = word.removeprefix("--asr=")
    return uri
