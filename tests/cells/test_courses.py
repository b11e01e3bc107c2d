"""Which cells can go by another's training, and in which order they then run."""

from dataclasses import replace

import pytest

from compare.cells.courses import KEPT, Courses, can_follow, course
from compare.cells.settings import PRESETS, Settings
from compare.spec import POLICIES, Cell

QUICK = PRESETS["quick"]


def cell(policy, **changes):
    return replace(Cell("keras", "resnet50", policy, "native", 0), **changes)


def test_policies_that_normalise_alike_in_fit_take_one_course():
    batch = {course(cell(name)) for name in ("frozen-batch-stats", "frozen-drifting", "batch-stats")}
    moving = {course(cell(name)) for name in ("frozen", "features")}
    assert (len(batch), len(moving)) == (1, 1)
    assert len(batch | moving | {course(cell("adapted"))}) == 3


@pytest.mark.parametrize("policy", ["bn-trainable", "fine-tune", "fine-tune-bn-frozen"])
def test_a_backbone_that_trains_goes_its_own_way(policy):
    assert course(cell(policy)) is None
    assert not can_follow(cell(policy), QUICK)


@pytest.mark.parametrize(
    "change", [{"framework": "torch"}, {"seed": 1}, {"numerics": "matched"}, {"backbone": "vgg16"}]
)
def test_another_training_is_another_course(change):
    assert course(cell("frozen", **change)) != course(cell("frozen"))


def test_a_policy_that_moves_statistics_must_train():
    assert [name for name in POLICIES if can_follow(cell(name), QUICK)] == [
        "frozen-batch-stats",
        "frozen",
        "features",
        "batch-stats",
        "adapted",
    ]


@pytest.mark.parametrize("settings", [Settings(patience=5), Settings(reduce_lr=True)])
def test_nothing_follows_where_evaluation_has_a_part_in_training(settings):
    """Another val_loss would stop it elsewhere, or lower its rate elsewhere."""
    assert not can_follow(cell("frozen-batch-stats"), settings)


def test_old_courses_make_room():
    courses = Courses()
    for number in range(KEPT + 1):
        courses.keep((number,), ())
    assert courses.get((0,)) is None
    assert courses.get((KEPT,)) == ()
