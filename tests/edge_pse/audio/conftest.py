"""Sound devices without hardware: cards in user space, and a sound server of the test's own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_pse.audio.pcm import to_pcm
from tests.edge_pse.audio.running import Command, SoundServer, need_pulseaudio

ALSA_CONFIGURATION = Path("/usr/share/alsa/alsa.conf")


@pytest.fixture(scope="session")
def portaudio() -> None:
    """Skips, with what to install, where there is no PortAudio."""
    if find_library("portaudio") is None:
        pytest.skip("live sound needs PortAudio: apt-get install libportaudio2 libasound2-plugins")


@pytest.fixture(scope="session")
def card_plugin(portaudio: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated card, compiled."""
    if shutil.which("gcc") is None or not Path("/usr/include/alsa/pcm_external.h").exists():
        pytest.skip("a simulated sound card needs gcc and libasound2-dev: apt-get install gcc libasound2-dev")
    library = tmp_path_factory.mktemp("card") / "simulated_card.so"
    source = Path(__file__).with_name("simulated_card.c")
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-DPIC", source, "-o", library, "-lasound"],
        check=True,
    )
    return library


@pytest.fixture(scope="session")
def cards(card_plugin: Path) -> Callable[..., dict[str, str]]:
    """``cards(directory, mic="rate 48000 ...", ...)`` -> an environment in which ALSA has these cards."""

    def configure(directory: Path, **definitions: str) -> dict[str, str]:
        lines = [f'pcm_type.simulated.lib "{card_plugin}"']
        lines += [f"pcm.{name} {{ type simulated {words} }}" for name, words in definitions.items()]
        configuration = directory / "asoundrc"
        configuration.write_text("\n".join(lines) + "\n")
        return {
            **os.environ,
            "ALSA_CONFIG_PATH": f"{ALSA_CONFIGURATION}:{configuration}",
            "PULSE_SERVER": f"unix:{directory}/none",
            "EDGE_PSE_HOME": str(directory / "edge-pse"),
        }

    return configure


@pytest.fixture(scope="module")
def start_command() -> Iterator[Callable[..., Command]]:
    """``start_command("run", ..., env=env)`` starts edge-pse; what still runs after the module is killed."""
    started: list[Command] = []

    def start(*arguments: str, env: dict[str, str]) -> Command:
        started.append(Command(*arguments, env=env))
        return started[-1]

    yield start
    for command in started:
        command.kill()


@pytest.fixture
def sound_server(portaudio: None, tmp_path: Path) -> Iterator[SoundServer]:
    """A private PulseAudio, running."""
    need_pulseaudio()
    server = SoundServer(tmp_path / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def speech_pcm(recording: Callable[[str], np.ndarray]) -> np.ndarray:
    """Real speech as 16-bit samples, 16 kHz."""
    return to_pcm(recording("ls367_speech"))


@pytest.fixture(scope="module")  # as long as it is open, nothing else in this thread can use asyncio
def browser() -> Iterator[Any]:
    """A real one, without a window, driven by Playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="driving a browser needs: pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("a browser is missing: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(link)`` -> a page of a visitor of its own, as wide as a small phone; errors of its script fail."""
    visitors, errors = [], []

    def opened(link: str, **how: object) -> Any:
        visitors.append(
            browser.new_context(**{"viewport": {"width": 320, "height": 640}, "locale": "en-GB", **how})
        )
        page = visitors[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(link)
        return page

    yield opened
    for visitor in visitors:
        for page in visitor.pages:
            page.unroute_all(behavior="ignoreErrors")  # the page goes on asking until it is closed
        visitor.close()
    assert not errors
