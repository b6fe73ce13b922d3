"""What a hostile or unlucky world puts in the place of a model file or of its description: one sentence, at once."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_pse import Model
from edge_pse.contract import LIMITS, MOST_STATE_FLOATS, Contract
from edge_pse.errors import ModelError
from edge_pse.model import MODELS_DIR
from edge_pse.model_file import (
    MOST_DESCRIPTION_BYTES,
    MOST_RANGES,
    description_path,
    read_description,
    read_model,
    write_description,
)
from tests.edge_pse.graphs import copy_model

MODELS = ("pvqe-xs.int8.tflite", "pvqe-xs.int8.onnx")
AT_ONCE_S = 2.0
FEW_BYTES = 64 << 20


@pytest.fixture(params=MODELS)
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model of each format with its description, to be spoilt."""
    return copy_model(MODELS_DIR / request.param, tmp_path)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """``refused(path)`` -> the sentence; no runtime has seen the file, and neither time nor memory was spent."""

    def open_nothing(*_: object) -> None:
        raise AssertionError("a runtime was given what had not been checked")

    monkeypatch.setattr("edge_pse.model.open_model", open_nothing)

    def load(path: Path) -> str:
        tracemalloc.start()
        started = time.monotonic()
        try:
            with pytest.raises(ModelError) as refusal:
                Model.load(path)
            assert time.monotonic() - started < AT_ONCE_S
            assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
        finally:
            tracemalloc.stop()
        sentence = str(refusal.value)
        assert sentence.isprintable() and len(sentence) < 600
        assert sentence.startswith(f"Model {path} can't be used: ")
        return sentence

    return load


def with_fields(path: Path, fields: dict[str, Any]) -> Path:
    """The model with other numbers in its description, which is of that file all the same."""
    write_description(path, {**read_description(path), **fields})
    return path


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_model_is_refused(copied: Path, refused: Callable[[Path], str], share: float) -> None:
    content = copied.read_bytes()
    copied.write_bytes(content[: int(share * len(content))])
    assert f"not the file that {copied.name}.json describes, or it is damaged: copy both" in refused(copied)


def test_a_single_bit_that_differs_is_seen(copied: Path, refused: Callable[[Path], str]) -> None:
    content = bytearray(copied.read_bytes())
    content[len(content) // 2] ^= 1
    copied.write_bytes(content)
    assert "it is damaged: copy both files again" in refused(copied)


@pytest.mark.parametrize("name", [path.name for path in MODELS_DIR.glob("*.json")])
def test_every_shipped_model_is_the_one_that_its_description_is_about(name: str) -> None:
    path = MODELS_DIR / name.removesuffix(".json")
    assert Contract.of(read_model(path)[1]).network == path.name.partition(".")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", ".json is damaged: copy"),
        (b"{", ".json is damaged: copy"),
        (b"[]", ".json is damaged: copy"),
        (b"null", ".json is damaged: copy"),
        (b"{}", ".json is damaged: copy"),
        (b'{"sha256": 1}', ".json is damaged: copy"),
        (b"\xff\xfe{\x00", ".json is damaged: copy"),
        (b'{"sha256": "\xe4"}', ".json is damaged: copy"),
        (b'{"sha256": "a", "sha256": "b"}', ".json is damaged: copy"),
        (b'{"sha256": "a", "bins": NaN}', ".json is damaged: copy"),
        (b'{"sha256": "a", "bins": 1' + 5_000 * b"0" + b"}", ".json is damaged: copy"),
        (b'{"sha256": ' + 200_000 * b"[", ".json is damaged: copy"),
        (200_000 * b'{"a":', ".json is damaged: copy"),
        (b'{"sha256": "a"}', "not the file that"),
        (b'{"sha256": "\\ud800"}', "not the file that"),
        (b" " * (MOST_DESCRIPTION_BYTES + 1), "far too large"),
    ],
)
def test_a_description_that_is_none_is_refused(
    copied: Path, refused: Callable[[Path], str], text: bytes, message: str
) -> None:
    description_path(copied).write_bytes(text)
    assert message in refused(copied)


ABSURD = [0, -1, 10**9, 10**18, 10**400, 1.5, 1e300, True, None, "160", [], {}]


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("value", ABSURD, ids=lambda value: repr(value)[:10])
def test_an_absurd_number_is_refused(
    tmp_path: Path, refused: Callable[[Path], str], field: str, value: Any
) -> None:
    path = copy_model(MODELS_DIR / MODELS[0], tmp_path)
    assert f"{field} is " in refused(with_fields(path, {field: value}))


NAMES = [
    "",
    "a" * 100_000,
    "../../etc",
    "/dev/sda",
    "\x1b[31mred",
    "[bold]",
    "\ud800",
    "a\0b",
    "a b",
    1,
    None,
    [],
]


@pytest.mark.parametrize("field", ["network", "model_id", "profiles_of", "precision", "licence"])
@pytest.mark.parametrize("value", NAMES, ids=lambda value: ascii(value)[:10])
def test_a_name_that_is_none_is_refused(
    tmp_path: Path, refused: Callable[[Path], str], field: str, value: Any
) -> None:
    if (field, value) == ("licence", "a b"):
        return
    path = copy_model(MODELS_DIR / MODELS[0], tmp_path)
    assert f"{field} is " in refused(with_fields(path, {field: value}))


@pytest.mark.parametrize(
    "states",
    [
        None,
        {},
        "states",
        [None],
        [{"name": "a"}],
        [{"name": "a", "shape": 1}],
        [{"name": "a", "shape": []}],
        [{"name": "a", "shape": [1.5]}],
        [{"name": "a", "shape": ["1"]}],
        [{"name": "a", "shape": [True]}],
        [{"name": "a", "shape": [0]}],
        [{"name": "a", "shape": [-1, -1]}],
        [{"name": "a", "shape": [10**9]}],
        [{"name": "a", "shape": [10**400]}],
        [{"name": "a", "shape": [MOST_STATE_FLOATS, 2]}],
        [{"name": "a", "shape": [1] * 10_000}],
        [{"name": f"a{number}", "shape": [1]} for number in range(10_000)],
        [{"name": f"a{number}", "shape": [1 << 20]} for number in range(5)],
        [{"name": "a", "shape": [1]}, {"name": "a", "shape": [1]}],
        *(
            [{"name": name, "shape": [1]}]
            for name in ("", "spectrum", "profile", "\x1b[2J", "\ud800", "a" * 65, 1)
        ),
    ],
    ids=lambda states: ascii(states)[:30],
)
def test_absurd_states_are_refused(tmp_path: Path, refused: Callable[[Path], str], states: Any) -> None:
    path = copy_model(MODELS_DIR / MODELS[0], tmp_path)
    assert "state" in (sentence := refused(with_fields(path, {"states": states}))) or "shape of a" in sentence


@pytest.mark.parametrize("value", [None, 1, [], "A", "AAAA", "ä", "A" * 500_000])
def test_an_absurd_voice_space_is_refused(tmp_path: Path, refused: Callable[[Path], str], value: Any) -> None:
    path = copy_model(MODELS_DIR / MODELS[0], tmp_path)
    assert "voice" in refused(with_fields(path, {"voice_space": value, "embedding_size": 1}))


@pytest.mark.parametrize("schema", [0, 2, -1, 10**400, 1.0, True, "1", None, [[[]]]])
def test_another_schema_is_refused(tmp_path: Path, refused: Callable[[Path], str], schema: Any) -> None:
    path = copy_model(MODELS_DIR / MODELS[0], tmp_path)
    assert "this program reads 1" in refused(with_fields(path, {"schema_version": schema}))


SIZE = (MODELS_DIR / MODELS[0]).stat().st_size


@pytest.mark.parametrize(
    "ranges",
    [
        None,
        {},
        "0",
        [1],
        [[]],
        [[1]],
        [[1, 2, 3]],
        [["1", "2"]],
        [[1.0, 2]],
        [[True, 1]],
        [[0, 0]],
        [[4, -4]],
        [[-4, 4]],
        [[10**400, 1]],
        [[SIZE, 1]],
        [[SIZE - 3, 4]],
        [[0, SIZE + 1]],
        [[8, 4], [0, 4]],
        [[0, 4], [0, 4]],
        [[0, 4], [3, 4]],
        [[0, 8], [2, 2]],
        [[number, 1] for number in range(MOST_RANGES + 1)],
    ],
    ids=lambda ranges: ascii(ranges)[:30],
)
def test_ranges_of_weights_that_cannot_be_are_refused(
    tmp_path: Path, refused: Callable[[Path], str], ranges: Any
) -> None:
    path = copy_model(MODELS_DIR / MODELS[0], tmp_path)
    assert "weights are no byte ranges" in refused(with_fields(path, {"weights": ranges}))


def of_a_pipe(path: Path) -> None:
    os.mkfifo(path)


def of_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("make", [of_a_pipe, of_a_device, Path.mkdir])
@pytest.mark.parametrize("of", [lambda path: path, description_path], ids=["model", "description"])
def test_what_is_no_file_is_not_read(
    copied: Path, make: Callable[[Path], None], of: Callable[[Path], Path]
) -> None:
    place = of(copied)
    place.unlink()
    make(place)
    with pytest.raises(ModelError, match=r"no model file|is a directory, a device or a pipe and not a file"):
        Model.load(copied)
    with pytest.raises(ModelError, match="is a directory, a device or a pipe and not a file"):
        read_model(copied)


def test_a_missing_description_is_named(copied: Path, refused: Callable[[Path], str]) -> None:
    description_path(copied).unlink()
    assert f"its description {copied.name}.json is missing: copy both files" in refused(copied)


def test_a_description_that_fits_another_graph_is_refused(copied: Path) -> None:
    with pytest.raises(ModelError, match=r"outputs .*\(embedding\)"):
        Model.load(with_fields(copied, {"embedding_size": 64}))
    with pytest.raises(ModelError, match=r"inputs .*\(profile\)"):
        Model.load(with_fields(copied, {"embedding_size": 128, "profile_size": 64}))


def test_what_a_description_says_is_kept(copied: Path) -> None:
    before = read_description(copied)
    write_description(copied, {name: value for name, value in before.items() if name != "sha256"})
    assert read_description(copied) == before == json.loads(description_path(copied).read_text())
    assert Model.load(copied).contract == Contract.of(before)
