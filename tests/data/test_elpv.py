"""The ELPV data set as its package ships it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from compare.data import elpv, load, split
from compare.spec import InputError
from tests.support.image_files import pattern


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package of the same layout, ahead of the installed one; importing it fails."""
    images = tmp_path / "elpv_dataset" / "data" / "images"
    images.mkdir(parents=True)
    (tmp_path / "elpv_dataset" / "__init__.py").write_text("raise RuntimeError('imported')")
    lines = []
    for number, probability in enumerate(
        ("0.0", "0.3333333333333333", "0.5", "0.6666666666666666", "1.0", "0.0")
    ):
        pattern(number).convert("L").save(images / f"cell{number}.png")
        lines.append(f"images/cell{number}.png  {probability}      mono\n")
    (images.parent / "labels.csv").write_text("".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    return images


def test_the_real_package():
    data = load("elpv")
    assert (data.name, data.classes) == ("elpv", ("functional", "defective"))
    assert (len(data), int(data.labels.sum())) == (2624, 821)
    assert data.names[0] == "images/cell0001.png"
    assert data.split is None
    with Image.open(data.root / data.names[0]) as image:
        assert (image.size, image.mode) == ((300, 300), "L")
        np.testing.assert_array_equal(data.read(0, 300)[..., 1], np.asarray(image))


@pytest.mark.parametrize("seed", range(3))
def test_next_to_no_cell_validates_beside_a_neighbour_that_trained(seed):
    """Split cell by cell, 98 % of the validation cells would have a neighbour among the training cells."""
    data = load("elpv")
    train, val = (np.sort(part) for part in split(data, seed))
    beside = np.isin(val - 1, train) | np.isin(val + 1, train)
    assert beside.mean() < 0.04
    assert 0.16 < len(val) / len(data) < 0.24
    assert abs(data.labels[val].mean() - data.labels.mean()) < 0.06


def test_a_probability_of_half_or_more_is_positive(package):
    data = load("elpv", positive="defective")
    assert data.labels.tolist() == [0, 0, 1, 1, 1, 0]


def test_positive_may_be_the_other_class(package):
    assert load("elpv", positive="functional").classes == ("defective", "functional")


def test_a_missing_image_is_listed(package):
    (package / "cell3.png").unlink()
    with pytest.raises(InputError, match=r"1 of 6 images can't be read .*images/cell3\.png \(No such file"):
        load("elpv")
    assert load("elpv", skip_unreadable=True).skipped == ("images/cell3.png",)


def test_without_the_package_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr(elpv, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"^--data elpv: .*pip install 'compare-bn\[elpv\]', or pass a folder.*$"
    ):
        load("elpv")
