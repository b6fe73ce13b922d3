"""Where the time of a training step goes."""

from studies.training_speed import PARTS, measure
from tests.training.test_parallel import STAGE, make_trainer


def test_each_part_of_a_step_takes_its_time() -> None:
    spent, seconds = measure(make_trainer(seed=0), STAGE, steps=1)
    assert tuple(spent) == PARTS and all(value > 0 for value in spent.values())
    assert seconds > 0
