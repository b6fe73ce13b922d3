"""The model file and its contract: what is accepted, and with which sentence everything else is refused."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from edge_pse import Model
from edge_pse.backends import RUNTIMES
from edge_pse.errors import ModelError
from edge_pse.model import MODELS_DIR, available_models
from edge_pse.model_file import read_description, write_description
from tests.edge_pse.graphs import BINS, EMBEDDING, copy_model, far_end_model

ONNX = MODELS_DIR / "pvqe-s.fp32.onnx"


@pytest.fixture
def edited(tmp_path):
    """``edited(change)``: a copy of a shipped ONNX model after ``change(graph, description)``."""
    onnx = pytest.importorskip("onnx", reason="changing a model file needs the onnx package")

    def edit(change):
        model, description = onnx.load(ONNX), read_description(ONNX)
        change(model.graph, description)
        onnx.save(model, tmp_path / "edited.onnx")
        write_description(tmp_path / "edited.onnx", description)
        return tmp_path / "edited.onnx"

    return edit


def test_the_shipped_model_says_what_it_is(model):
    contract = model.contract
    assert (contract.network, contract.precision, contract.far_end) == ("pvqe-s", "int8", False)
    assert re.fullmatch(r"pvqe-s-[0-9a-f]{12}", contract.model_id)
    assert contract.licence
    assert (contract.sample_rate_hz, contract.hop_samples, contract.window_samples) == (16_000, 160, 320)
    assert (contract.first_bin, contract.bins, contract.embedding_size) == (1, 160, 256)
    assert {"gru1", "gru2"} <= {state.name for state in contract.states}
    assert model.backend.name in RUNTIMES


def test_a_step_keeps_its_inputs_and_gives_what_the_contract_says(model):
    random = np.random.default_rng(5)
    spectrum = random.standard_normal((1, 2, 1, 160)).astype(np.float32)
    profile = random.standard_normal((1, 256)).astype(np.float32)
    states = [random.standard_normal(state.shape).astype(np.float32) for state in model.contract.states]
    inputs = [spectrum, profile, *states]
    copies = [array.copy() for array in inputs]
    enhanced, embedding, following = model.backend.step(spectrum, profile, states)
    assert (enhanced.shape, embedding.shape) == ((1, 2, 1, 160), (1, 256))
    assert [array.shape for array in following] == [state.shape for state in model.contract.states]
    for array, copy in zip(inputs, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    again = model.backend.step(spectrum, profile, states)
    np.testing.assert_array_equal(again[0], enhanced)


def test_states_may_be_copied_and_gone_on_from(model, recording):
    """A stream that goes on from copies of its states is the same stream."""
    frames = recording("ls367_speech")[16_000 : 16_000 + 8 * 320].reshape(8, 1, 2, 1, 160)
    nobody = np.zeros((1, 256), np.float32)
    states = model.contract.initial_states()
    for frame in frames[:4]:
        _, _, states = model.backend.step(frame, nobody, states)
    copies = [state.copy() for state in states]
    for frame in frames[4:]:
        enhanced, embedding, states = model.backend.step(frame, nobody, states)
        from_copies, embedding_from_copies, copies = model.backend.step(frame, nobody, copies)
        np.testing.assert_array_equal(enhanced, from_copies)
        np.testing.assert_array_equal(embedding, embedding_from_copies)
    for state, copy in zip(states, copies, strict=True):
        np.testing.assert_array_equal(state, copy)
    fresh, _, _ = model.backend.step(frames[4], nobody, model.contract.initial_states())
    assert not np.array_equal(fresh, model.backend.step(frames[4], nobody, states)[0])


def test_a_model_is_found_by_name_by_precision_and_by_path(model, tmp_path):
    for model_name in ("pvqe-s", "pvqe-s.int8", str(model.path), model.path):
        assert Model.load(model_name).contract == model.contract
    copy = copy_model(ONNX, tmp_path / "renamed.onnx")
    assert Model.load(copy, backend="onnx").contract == Model.load(ONNX).contract
    assert Model.of(model) is model
    assert model.path in available_models()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("pvqe-q", r"no model 'pvqe-q' here; installed: .*pvqe-s\.fp32\.onnx"),
        ("missing.onnx", "no model file missing.onnx"),
        ("some/where/model.h5", r"ends in \.tflite or \.onnx"),
        ("some/where/missing.onnx", "no model file some/where/missing.onnx"),
        ("", "no model ''"),
    ],
)
def test_a_model_that_is_not_there_is_named(model, message):
    with pytest.raises(ModelError, match=message):
        Model.load(model)


def test_an_unknown_backend_is_refused_with_the_choices():
    with pytest.raises(ModelError, match="auto, litert, onnx"):
        Model.load("pvqe-s", backend="abacus")


@pytest.mark.parametrize("threads", [0, 65, "2", None])
def test_a_number_of_threads_that_is_none_or_fills_the_machine_is_refused(threads):
    with pytest.raises(ModelError, match="on 1 to 64 threads, not"):
        Model.load("pvqe-s", threads=threads)


@pytest.mark.parametrize("content", [b"", b"OggS and more", ONNX.read_bytes()[:100_000]])
def test_what_is_no_model_is_refused_even_with_its_description(tmp_path, content):
    path = tmp_path / "speech.onnx"
    path.write_bytes(content)
    write_description(path, {**read_description(ONNX), "weights": []})
    with pytest.raises(ModelError, match=r"speech\.onnx can't be used: it is damaged or not an ONNX model"):
        Model.load(path)


def drop_description(graph, description):
    description.clear()


def wrong_state_shape(graph, description):
    next(state for state in description["states"] if state["name"] == "gru1")["shape"] = [1, 128]


def swapped_states(graph, description):
    description["states"] = description["states"][::-1]


def missing_state(graph, description):
    description["states"].pop()


def renamed_output(graph, description):
    old = graph.output[0].name
    graph.output[0].name = "spectrum_out"
    for node in graph.node:
        node.output[:] = ["spectrum_out" if name == old else name for name in node.output]


def double_input(graph, description):
    graph.input[1].type.tensor_type.elem_type = 11  # DOUBLE
    for node in graph.node:
        node.input[:] = ["profile_single" if name == "profile" else name for name in node.input]
    cast = graph.node.add()
    cast.op_type, cast.input[:], cast.output[:] = "Cast", ["profile"], ["profile_single"]
    attribute = cast.attribute.add()
    attribute.name, attribute.type, attribute.i = "to", 2, 1  # INT, FLOAT
    graph.node.insert(0, graph.node.pop())


def set_field(**changes):
    return lambda graph, description: description.update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_description, "schema of no number"),
        (set_field(schema_version=2), "schema 2, this program reads 1"),
        (set_field(far_end=True), r"inputs .*\(far\)"),
        (set_field(window_samples=400), "window is not twice its hop"),
        (set_field(sample_rate_hz=20_000), "hop is not 10 ms"),
        (set_field(bins=128), "Nyquist"),
        (set_field(profile_size=128), r"inputs .*\(profile\)"),
        (set_field(embedding_size=128, profile_size=256, voice_space=""), r"outputs .*\(embedding\)"),
        (set_field(model_id=None), "model_id is None"),
        (set_field(sample_rate_hz="16000"), "sample_rate_hz is '16000'"),
        (set_field(states=[{"name": "gru1"}]), "a state is"),
        (set_field(voice_space="AAAA"), "voice space is not made for embeddings of 256"),
        (lambda graph, description: description.pop("licence"), "licence"),
        (wrong_state_shape, r"inputs .*\(gru1\)"),
        (swapped_states, "their order"),
        (missing_state, "inputs .*spectrum_past"),
        (renamed_output, "outputs .*enhanced, spectrum_out"),
        (double_input, r"profile is tensor\(double\)"),
    ],
)
def test_a_model_that_does_not_keep_its_contract_is_refused(edited, change, message):
    with pytest.raises(ModelError, match=message) as refusal:
        Model.load(edited(change))
    assert "edited.onnx can't be used" in str(refusal.value)


def test_an_edit_that_changes_nothing_is_accepted(edited, model):
    unchanged = Model.load(edited(lambda graph, description: None)).contract
    assert unchanged == Model.load(ONNX).contract == replace(model.contract, precision="fp32")


@pytest.fixture
def amplifier(tmp_path):
    """A model that gives ``0.25`` of the microphone, and says where that number is."""
    path = far_end_model(tmp_path / "amplifier.onnx", microphone=0.25, far_end=-0.5)
    offset = path.read_bytes().index(np.float32(0.25).tobytes())
    write_description(path, {**read_description(path), "weights": [[offset, 4]]})
    return path


def amplified(model, value=1.0):
    frame, profile = np.full((1, 2, 1, BINS), value, np.float32), np.zeros((1, EMBEDDING), np.float32)
    return model.backend.step(frame, profile, model.contract.initial_states())[0].max()


def test_a_model_takes_other_weights_and_stays_what_it_was(amplifier):
    model = Model.load(amplifier, threads=2)
    louder = model.with_weights(np.float32(3).tobytes())
    assert (amplified(model), amplified(louder)) == (0.25, 3)
    assert (louder.path, louder.contract, louder.sha256) == (model.path, model.contract, model.sha256)
    assert louder.backend.name == model.backend.name and louder.file_name == "test-far.fp32.onnx"
    assert model.general is None and louder.general is model and louder.profile_network() is model
    again = louder.with_weights(np.float32(-1).tobytes())
    assert amplified(again) == -1 and again.general is model


@pytest.mark.parametrize("length", [0, 3, 8])
def test_weights_of_another_length_are_refused(amplifier, length):
    model = Model.load(amplifier)
    with pytest.raises(ModelError, match=rf"amplifier\.onnx can't .* takes 4 bytes .* given {length}: they"):
        model.with_weights(bytes(length))


def test_a_model_that_does_not_say_where_its_weights_are_takes_no_others(tmp_path):
    model = Model.load(far_end_model(tmp_path / "silent.onnx", microphone=0, far_end=0))
    with pytest.raises(ModelError, match=r"silent\.onnx can't take other weights: .* doesn't say where"):
        model.with_weights(b"")


def test_weights_are_not_put_into_a_file_that_is_another_one_now(amplifier):
    model = Model.load(amplifier)
    amplifier.write_bytes(amplifier.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="it is damaged: copy both files again"):
        model.with_weights(bytes(4))
    write_description(amplifier, read_description(amplifier))
    with pytest.raises(ModelError, match="has been replaced since it was loaded: load it again"):
        model.with_weights(bytes(4))


SPOILT = {
    "zeros": bytes,
    "ones": lambda size: b"\xff" * size,
    "random": np.random.default_rng(3).bytes,
}


@pytest.mark.parametrize(
    "name", [path.name for path in available_models() if path.name.startswith("pvqe-xs.")]
)
@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_weights_that_are_none_do_no_harm(name, spoil):
    """A runtime may run them, whatever comes of it, or refuse them in a sentence."""
    model = Model.load(MODELS_DIR / name)
    with pytest.raises(ModelError, match=r"it takes (\d+) bytes of weights") as refusal:
        model.with_weights(b"")
    size = int(re.search(r"takes (\d+)", str(refusal.value))[1])
    try:
        other = model.with_weights(spoil(size))
    except ModelError as error:
        assert f"{name} can't take these weights: litert doesn't run it with them" in str(error)
        return
    frame, nobody = np.ones((1, 2, 1, 160), np.float32), np.zeros((1, 256), np.float32)
    states = other.contract.initial_states()
    for _ in range(3):
        enhanced, _, states = other.backend.step(frame, nobody, states)
    general, _, _ = model.backend.step(frame, nobody, model.contract.initial_states())
    assert enhanced.shape == general.shape and np.isfinite(general).all()


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_loads_no_runtime():
    heavy = {"ai_edge_litert", "onnxruntime", "torch", "training"}
    code = f"import sys, edge_pse; edge_pse.Model; print(sorted({heavy} & set(sys.modules)))"
    assert run_python(code) == "[]\n"


def test_a_missing_runtime_is_named_with_the_command_that_installs_it():
    code = (
        "import sys; sys.modules['ai_edge_litert'] = None\n"  # as Python marks a module that can't be imported
        "from edge_pse import Model, EdgePseError\n"
        "try: Model.load(backend='litert')\n"
        "except EdgePseError as error: print(error)\n"
    )
    assert "needs ai-edge-litert" in (message := run_python(code))
    assert "run `pip install ai-edge-litert`" in message
