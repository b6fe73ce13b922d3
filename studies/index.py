"""All studies: what each answers, what it needs beside the packages of the evaluation, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

_DATA, _PYTORCH = "the evaluation data", "PyTorch"


@dataclass(frozen=True)
class Study:
    """A line of the index."""

    module: str
    """Below this package; its click command is ``main``."""
    question: str
    """That it answers, in one sentence."""
    needs: str
    takes: str
    """About how long, on one core."""


STUDIES = {
    "questions": Study(
        "questions.command",
        "What must an enrollment be like, who else may talk, and what must an embedding hold?",
        f"{_DATA}; two of its questions {_PYTORCH}",
        "two or three minutes a question",
    ),
    "comparison": Study(
        "comparison",
        "What should a voice be described by, and what are a teacher, longer clips or more context worth?",
        f"{_DATA}, the training recordings, {_PYTORCH}, Resemblyzer",
        "about an hour a variant",
    ),
    "embedding": Study(
        "embedding",
        "How well does the embedding tell speakers apart, and what does it give away about them?",
        f"{_DATA}; Resemblyzer, to compare with it",
        "five minutes",
    ),
    "enrollment": Study(
        "enrollment",
        "At which cosines is a voice the same, and how far is an enrollment to be trusted?",
        _DATA,
        "two minutes",
    ),
    "auto-enrollment": Study(
        "auto_enrollment",
        "After how long is auto-enrollment as good as an enrollment, and how often does it take the wrong voice?",
        _DATA,
        "five minutes",
    ),
    "several-voices": Study(
        "several.keeping",
        "How are several voices best kept with a network that is made for one, and what does each further one cost?",
        _DATA,
        "six minutes",
    ),
    "who": Study(
        "several.who",
        "How often is the Enhancer wrong about who speaks?",
        _DATA,
        "a minute",
    ),
    "several-voices-page": Study(
        "several.page",
        "What is known of several voices? Writes docs/several-voices.md.",
        "the results files",
        "a second",
    ),
    "upper-band": Study(
        "upper_band.command",
        "By which rule is sound above 8 kHz best kept or taken away?",
        f"{_DATA}, and further voices of 44.1 kHz or more, to try the rules on others than they were chosen by",
        "five minutes",
    ),
    "upper-band-page": Study(
        "upper_band.page",
        "What is known of the band above 8 kHz? Writes docs/full-band.md.",
        "the results file",
        "a second",
    ),
    "microphones": Study(
        "microphones",
        "What becomes of an enrolled voice behind microphones unlike those of the training?",
        _DATA,
        "a quarter of an hour",
    ),
    "whispering": Study(
        "whispering",
        "What is left of an enrolled voice that whispers?",
        _DATA,
        "a minute",
    ),
    "narrow-band": Study(
        "narrow_band.measuring",
        "What should the network be shown of a stream of 8 kHz where nothing is?",
        _DATA,
        "half an hour",
    ),
    "narrow-band-page": Study(
        "narrow_band.page",
        "What is known of streams of 8 kHz? Writes docs/narrow-band.md.",
        "the results file",
        "a second",
    ),
    "assistant": Study(
        "assistant",
        "What does a recogniser understand of commands while a television talks?",
        f"{_DATA}, pocketsphinx",
        "five minutes",
    ),
    "personal": Study(
        "personal.command",
        "What does a network gain that goes on learning one voice?",
        f"{_DATA}, the training recordings, {_PYTORCH}",
        "the minutes of learning, and one, a voice",
    ),
    "personal-page": Study(
        "personal.page",
        "What is known of personal weights? Writes docs/personal.md and its plot.",
        f"the results file, {_PYTORCH}",
        "seconds",
    ),
    "personal-privacy": Study(
        "personal.privacy",
        "Can a voice, or what was read, be told from personal weights better than from the profile?",
        f"{_DATA}, weights that the study before kept, {_PYTORCH}",
        "a minute a voice",
    ),
    "personal-whispering": Study(
        "personal.whispering",
        "What do personal weights leave of a voice that whispers?",
        f"{_DATA}, weights that personal kept, {_PYTORCH}",
        "some seconds a voice",
    ),
    "curves": Study(
        "curves",
        "How did a network learn over all of its runs?",
        f"the logs of the runs; {_PYTORCH} and {_DATA}, to score checkpoints",
        "seconds; a minute a checkpoint",
    ),
    "size": Study(
        "size",
        "How many parameters, multiply-adds and floats of state does each network cost?",
        _PYTORCH,
        "seconds",
    ),
    "align-cost": Study(
        "align_cost",
        "How much does a frame cost, by how far back a network looks for the echo?",
        f"{_PYTORCH}, ONNX Runtime",
        "half a minute",
    ),
    "training-speed": Study(
        "training_speed",
        "Where does the time of a training step go on this machine?",
        _PYTORCH,
        "two minutes",
    ),
    "int8-search": Study(
        "int8_search",
        "Does neural-compressor find a better int8 recipe than ours?",
        "the environment of studies/requirements-int8-search.txt",
        "24 trials of some seconds at most",
    ),
    "int8-recipes": Study(
        "int8_recipes",
        "What does each int8 recipe cost, and what each layer by itself?",
        "ONNX Runtime; the environment of export/requirements-tflite.txt, for TFLite files",
        "five minutes",
    ),
    "emulated-arm": Study(
        "emulated_arm",
        "Do the model files give the same output on an emulated Cortex-A53 as here?",
        "root, QEMU, both runtimes, Debian and PyPI at hand",
        "some minutes, once its root of Debian packages is made",
    ),
}
