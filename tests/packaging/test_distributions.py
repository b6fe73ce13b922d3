"""The wheel and the sdist as a user gets them: what is in them, what they say, and that they work by themselves."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import pytest
import soundfile
from packaging.requirements import Requirement

from edge_pse import targets

PROJECT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--quiet")
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
READ_AND_INSTALLED_BY = ("docs/", "examples/", "targets/")
AT_THE_TOP = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
WRITTEN_BY_THE_BUILD = ("edge_pse.egg-info/", "PKG-INFO", "setup.cfg")
USER = """\
import edge_pse
reveal_type(edge_pse.enroll([0.0], 16_000))
edge_pse.Enhancer().enhance([0.0], "16000")
"""


def run(*command, cwd=None, env=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sources():
    """Every file that belongs to the project, as a path in the checkout."""
    if shutil.which("git") is None or not (PROJECT / ".git").exists():
        pytest.skip("what belongs to the project is what git knows, in a checkout")
    known = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=PROJECT)
    return {name for name in known.split("\0") if (PROJECT / name).is_file()}


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory):
    """The wheel, the sdist, and the wheel that is built from the sdist."""
    directory = tmp_path_factory.mktemp("built")
    for copy in ("for-wheel", "for-sdist"):  # one each: a build leaves files that another one would find
        for name in sources:
            (directory / copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, directory / copy / name)
    wheel = build_wheel(directory / "for-wheel", directory / "wheel")
    run(sys.executable, "-c", BUILD_SDIST, directory / "sdist", cwd=directory / "for-sdist")
    (sdist,) = (directory / "sdist").iterdir()
    return wheel, sdist, build_wheel(sdist, directory / "wheel-of-sdist")


def build_wheel(source, to):
    # Isolated from what is installed here, the build would be one of the newest setuptools, from an index.
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", to, source)
    (wheel,) = to.iterdir()
    return wheel


@pytest.fixture(scope="module")
def in_wheel(built):
    """Name -> content, of every file in the wheel."""
    return contents(built[0])


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def described(in_wheel) -> Message:
    """What the wheel says of itself."""
    (name,) = (name for name in in_wheel if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(in_wheel[name])


@pytest.fixture(scope="module")
def project():
    """The table of that name in ``pyproject.toml``."""
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def test_the_wheel_holds_the_whole_package_and_nothing_else(in_wheel, sources):
    package = {name for name in sources if name.startswith("edge_pse/")}
    assert {name for name in in_wheel if ".dist-info/" not in name} == package
    assert {f"edge_pse/targets/{name}.toml" for name in targets.names()} <= package
    for name in package:
        assert in_wheel[name] == (PROJECT / name).read_bytes(), name


def test_the_wheel_says_both_licences_and_carries_both_texts(in_wheel, described, project):
    assert described["License-Expression"] == "MIT AND CC-BY-SA-4.0"
    texts = {name.partition("/licenses/")[2]: text for name, text in in_wheel.items() if "/licenses/" in name}
    assert set(described.get_all("License-File")) == set(project["license-files"]) == set(texts)
    for name, text in texts.items():
        assert text == (PROJECT / name).read_bytes()
    assert texts["LICENSE"].startswith(b"MIT License")
    legal = texts["edge_pse/models/LICENSE"].decode()
    assert legal.startswith("Attribution-ShareAlike 4.0 International")
    assert all(f"Section {number} -- " in legal for number in range(1, 9))


def test_the_wheel_says_what_the_project_does(in_wheel, described, project):
    assert (described["Name"], described["Version"]) == (project["name"], project["version"])
    assert described["Requires-Python"] == project["requires-python"]
    assert set(described.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    assert described["Description-Content-Type"] == "text/markdown"
    assert described.get_payload(decode=True) == (PROJECT / "README.md").read_bytes()
    (entry_points,) = (text for name, text in in_wheel.items() if name.endswith("/entry_points.txt"))
    assert entry_points.decode().split() == ["[console_scripts]", "edge-pse", "=", "edge_pse.cli:main"]


def test_the_sdist_holds_what_is_built_read_and_installed_by_and_nothing_else(built, sources):
    with tarfile.open(built[1]) as archive:
        held = {member.name.partition("/")[2]: member for member in archive if member.isfile()}
    wanted = {name for name in sources if name.startswith(("edge_pse/", *READ_AND_INSTALLED_BY))}
    assert {name for name in held if not name.startswith(WRITTEN_BY_THE_BUILD)} == wanted | AT_THE_TOP
    assert held["targets/install.sh"].mode & 0o111


def test_the_wheel_of_the_sdist_is_that_of_the_checkout(built):
    from_checkout, from_sdist = (
        {name: sha256(content).hexdigest() for name, content in contents(wheel).items()}
        for wheel in (built[0], built[2])
    )
    assert from_sdist == from_checkout


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A Python that has the wheel and the distributions that it requires, from the running one, and no others."""
    python = bare_python(tmp_path_factory.mktemp("installed"))
    run(*PIP, "--python", python, "install", "--no-index", "--no-deps", built[0])
    (site,) = python.parents[1].glob("lib/python*/site-packages")
    (information,) = site.glob("edge_pse-*.dist-info")
    for distribution in required(metadata.Distribution.at(information)).values():
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(str(distribution.locate_file(name)))
    return python


def bare_python(directory):
    """The Python of a new environment that holds nothing, not even pip."""
    run(sys.executable, "-m", "venv", "--without-pip", directory)
    return directory / "bin/python"


def required(distribution):
    """Name -> distribution, of all that a distribution needs here, without extras, and what these need."""
    found = {}
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed = metadata.distribution(requirement.name)
            found |= {requirement.name: needed} | required(needed)
    return found


@pytest.fixture
def elsewhere(tmp_path):
    """Directory and environment of a user who has no checkout."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {"cwd": tmp_path, "env": env | {"EDGE_PSE_HOME": str(tmp_path / "home")}}


def check_that_it_works(python, elsewhere, fixtures, recording, mix, si_sdr):
    """Enroll a voice and keep it: the commands, in an environment that has the wheel."""
    command = python.with_name("edge-pse")
    speech = recording("ls367_speech")
    noisy = mix(speech, recording("ls2033_speech"), 0)
    soundfile.write(elsewhere["cwd"] / "noisy.wav", noisy, 16_000)
    run(command, "enroll", "me", "--from", fixtures / "ls367_enrollment.opus", **elsewhere)
    run(command, "enhance", "noisy.wav", "--profile", "me", "-o", "clean.wav", **elsewhere)
    clean, rate = soundfile.read(elsewhere["cwd"] / "clean.wav", dtype="float32")
    assert (clean.size, rate) == (noisy.size, 16_000)
    assert si_sdr(speech, clean) > si_sdr(speech, noisy) + 3


def test_what_the_wheel_requires_is_all_that_it_needs(installed, elsewhere):
    run(*PIP, "--python", installed, "check")
    modules = "import edge_pse, sys; print(edge_pse.__file__, 'torch' in sys.modules)"
    place, torch = run(installed, "-c", modules, **elsewhere).split()
    assert Path(place).is_relative_to(installed.parents[1])
    assert torch == "False"


def test_the_installed_command_works(installed, elsewhere, project, fixtures, recording, mix, si_sdr):
    version = run(installed.with_name("edge-pse"), "--version", **elsewhere)
    assert version.strip() == f"edge-pse, version {project['version']}"
    check_that_it_works(installed, elsewhere, fixtures, recording, mix, si_sdr)


def checked_types(python, elsewhere, *paths):
    """What a type checker says of a user's files."""
    command = (
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--ignore-missing-imports",
        "--python-executable",
        python,
    )
    done = subprocess.run(
        [str(word) for word in (*command, *paths)], **elsewhere, capture_output=True, text=True
    )
    return done.stdout


def test_a_type_checker_sees_the_types_of_the_installed_package(installed, elsewhere):
    (elsewhere["cwd"] / "user.py").write_text(USER)
    revealed, error, total = checked_types(installed, elsewhere, "user.py").splitlines()
    assert 'Revealed type is "edge_pse.profiles.voice.Profile"' in revealed
    assert error.startswith("user.py:3: error:") and error.endswith("[arg-type]")
    assert "Found 1 error" in total


def test_the_examples_fit_the_types_of_the_installed_package(installed, elsewhere):
    examples = sorted((PROJECT / "examples").glob("*.py"))
    said = checked_types(installed, elsewhere, *examples)
    assert said == f"Success: no issues found in {len(examples)} source files\n"


def test_pip_finds_what_the_wheel_requires_in_an_index(
    built, elsewhere, tmp_path_factory, fixtures, recording, mix, si_sdr
):
    directory = tmp_path_factory.mktemp("of-an-index")
    asked = (*PIP, "download", "--retries", "0", "--timeout", "5", "--no-deps", "-d", directory, "mdurl")
    if subprocess.run(asked, capture_output=True).returncode != 0:
        pytest.skip("no package index answers here")
    python = bare_python(directory / "environment")
    run(*PIP, "--python", python, "install", built[0])
    check_that_it_works(python, elsewhere, fixtures, recording, mix, si_sdr)
