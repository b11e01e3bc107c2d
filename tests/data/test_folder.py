"""A person's own folder of images: what is found in it, and what is refused, in one line."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from compare.data import load
from compare.spec import InputError
from tests.support.image_files import pattern, two_classes, write_images


def refusal(folder, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(str(folder), **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_rarer_class_is_positive(tmp_path):
    data = load(str(two_classes(tmp_path)))
    assert data.classes == ("cats", "dogs")
    assert data.labels.dtype == np.uint8
    assert (len(data), data.labels.sum(), data.split) == (20, 8, None)
    assert list(data.names) == sorted(data.names)
    assert [name.startswith("dogs/") for name in data.names] == data.labels.astype(bool).tolist()


def test_positive_names_the_positive_class(tmp_path):
    data = load(str(two_classes(tmp_path)), positive="cats")
    assert data.classes == ("dogs", "cats")
    assert data.labels.sum() == 12


def test_of_two_equal_classes_the_later_is_positive(tmp_path):
    assert load(str(two_classes(tmp_path, 5, 5))).classes == ("cats", "dogs")


def test_an_unknown_positive_class_is_refused_with_the_nearest_name(tmp_path):
    assert "did you mean 'dogs'?" in refusal(two_classes(tmp_path), positive="dgos")


def test_read_gives_the_images_pixels(tmp_path):
    data = load(str(two_classes(tmp_path)))
    read = data.read(13, 24)
    with Image.open(tmp_path / data.names[13]) as image:
        np.testing.assert_array_equal(read, np.asarray(image.resize((24, 24), Image.Resampling.BILINEAR)))


def test_hidden_files_and_other_suffixes_are_ignored(tmp_path):
    two_classes(tmp_path)
    before = load(str(tmp_path))
    write_images(tmp_path / ".cache", 3)
    write_images(tmp_path / "notes", 0)
    (tmp_path / "cats" / ".hidden.jpg").write_bytes(b"x")
    (tmp_path / "cats" / "notes.txt").write_text("x")
    (tmp_path / "preview.jpg").write_bytes(b"x")
    assert load(str(tmp_path)).sha256 == before.sha256


def test_suffixes_in_capitals_and_of_all_formats_are_found(tmp_path):
    two_classes(tmp_path)
    for number, suffix in enumerate((".JPG", ".jpeg", ".Png", ".bmp", ".webp")):
        pattern(number).save(tmp_path / "cats" / f"more{number}{suffix}")
    assert len(load(str(tmp_path))) == 25


def test_linked_class_folders_are_followed(tmp_path):
    write_images(tmp_path / "elsewhere", 3)
    write_images(tmp_path / "data" / "a", 4)
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    assert load(str(tmp_path / "data")).labels.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_a_split_folder_keeps_its_split(tmp_path):
    two_classes(tmp_path / "train", 6, 4)
    two_classes(tmp_path / "val", 3, 2)
    two_classes(tmp_path / "test", 3, 2)
    data = load(str(tmp_path))
    assert data.split is not None
    assert data.split.tolist() == [0] * 10 + [1] * 5
    assert data.labels.tolist() == [0] * 6 + [1] * 4 + [0] * 3 + [1] * 2


def test_classes_may_be_called_train_and_val_where_one_is_said_to_be_positive(tmp_path):
    write_images(tmp_path / "train", 3)
    write_images(tmp_path / "val", 2)
    data = load(str(tmp_path), positive="val")
    assert (data.classes, data.split) == (("train", "val"), None)


def test_sha256_sees_content_names_and_labels(tmp_path):
    data = load(str(two_classes(tmp_path)))
    assert load(str(tmp_path)).sha256 == data.sha256
    hashes = {data.sha256, load(str(tmp_path), positive="cats").sha256}
    (tmp_path / "cats" / "000.jpg").rename(tmp_path / "cats" / "00.jpg")
    hashes.add(load(str(tmp_path)).sha256)
    pattern(99).save(tmp_path / "cats" / "00.jpg")
    hashes.add(load(str(tmp_path)).sha256)
    assert len(hashes) == 4


def test_it_pickles_without_its_cache(tmp_path):
    data = load(str(two_classes(tmp_path)))
    pixels = data.read(0, 16)
    copy = pickle.loads(pickle.dumps(data))
    assert (data.cache.used, copy.cache.used, copy.cache.limit) == (pixels.nbytes, 0, data.cache.limit)
    np.testing.assert_array_equal(copy.read(0, 16), pixels)


def test_a_missing_folder_is_refused(tmp_path):
    assert "no such folder; it must be 'elpv', a folder" in refusal(tmp_path / "missing")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"x")
    assert "not a folder" in refusal(tmp_path / "x.zip")


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats" / "x.svg").write_bytes(b"x")
    message = refusal(tmp_path)
    assert "no images" in message
    assert ".webp" in message


def test_one_class_is_refused(tmp_path):
    write_images(tmp_path / "cats", 3)
    (tmp_path / "dogs").mkdir()
    assert "found one class (cats)" in refusal(tmp_path)


def test_a_part_without_one_of_the_classes_is_refused(tmp_path):
    two_classes(tmp_path / "train")
    write_images(tmp_path / "val" / "cats", 2)
    assert "val/ has no images of class dogs" in refusal(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path):
    (two_classes(tmp_path) / "loop").symlink_to(tmp_path / "loop")
    assert "loop can't be listed: " in refusal(tmp_path)


def spoil(folder) -> list[str]:
    """Make three of the images unreadable, each in another way."""
    content = (folder / "cats" / "003.jpg").read_bytes()
    (folder / "cats" / "003.jpg").write_bytes(content[:-40])
    (folder / "cats" / "005.jpg").write_bytes(b"")
    (folder / "dogs" / "001.jpg").write_text("<html>404</html>")
    return ["cats/003.jpg", "cats/005.jpg", "dogs/001.jpg"]


def test_unreadable_images_are_listed(tmp_path):
    spoilt = spoil(two_classes(tmp_path))
    message = refusal(tmp_path)
    assert "3 of 20 images can't be read" in message
    assert all(name in message for name in spoilt)
    assert "cats/003.jpg (image file is truncated" in message
    assert "cats/004.jpg" not in message


def test_of_many_unreadable_images_the_first_are_listed(tmp_path):
    for path in (two_classes(tmp_path, 30, 5) / "cats").iterdir():
        path.write_bytes(b"")
    message = refusal(tmp_path)
    assert message.count("cats/") == 10
    assert message.endswith("and 20 more")


def test_skip_unreadable_goes_on_without_them(tmp_path):
    spoilt = spoil(two_classes(tmp_path))
    data = load(str(tmp_path), skip_unreadable=True)
    assert (len(data), data.labels.sum()) == (17, 7)
    assert list(data.skipped) == spoilt
    assert not set(spoilt) & set(data.names)
    assert all(data.read(index, 8).shape == (8, 8, 3) for index in range(len(data)))


@pytest.mark.parametrize(
    ("classes", "found"), [(["dogs"], "one class (cats)"), (["cats", "dogs"], "no images")]
)
def test_skipping_a_whole_class_is_refused(tmp_path, classes, found):
    two_classes(tmp_path, 3, 2)
    for path in (path for name in classes for path in (tmp_path / name).iterdir()):
        path.write_bytes(b"")
    assert found in refusal(tmp_path, skip_unreadable=True)


def test_an_image_that_goes_missing_is_named(tmp_path):
    data = load(str(two_classes(tmp_path)))
    shutil.rmtree(tmp_path / "cats")
    with pytest.raises(InputError, match=r"image .*cats/000\.jpg can't be read: No such file"):
        data.read(0, 16)
