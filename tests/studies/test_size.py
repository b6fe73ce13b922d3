"""What networks cost, as counted from the paper."""

from studies.size import measure_size
from training.network import CONFIGS


def test_sizes_are_those_counted_from_the_paper() -> None:
    paper = measure_size(CONFIGS["pvqe-s-paper"])
    # Layer by layer from the paper's section 4.3: 1135.9 k with a bias before each norm, which we leave out.
    assert abs(paper.parameters - 1.1359e6) < 2e3
    assert abs(paper.multiply_adds - 4.209e6) < 2e4
    small, full = measure_size(CONFIGS["pvqe-xs"]), measure_size(CONFIGS["pvqe-s"])
    assert small.multiply_adds * 3 <= full.multiply_adds
    assert full.parameters < 1.2e6


def test_every_network_has_a_row(study) -> None:
    rows = study("size").stdout.splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == list(CONFIGS)
