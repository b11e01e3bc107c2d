"""Folders as people have them: other names for the parts, deeper folders, and what machines leave behind."""

from __future__ import annotations

import os
import shutil
import unicodedata

import numpy as np
import pytest

from compare.data import load, split
from compare.spec import InputError
from tests.support.image_files import pattern, two_classes, write_images


def refusal(folder, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(str(folder), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Validation"])
def test_the_validation_part_has_many_names(tmp_path, name):
    two_classes(tmp_path / "train", 6, 4)
    two_classes(tmp_path / name, 3, 2)
    data = load(str(tmp_path))
    assert data.classes == ("cats", "dogs")
    assert sorted(data.split.tolist()) == [0] * 10 + [1] * 5
    train, val = split(data, 0)
    assert (len(train), len(val)) == (10, 5)
    assert all(data.names[index].startswith(name) for index in val)


def test_two_folders_that_could_validate_are_refused(tmp_path):
    for name in ("train", "val", "valid"):
        two_classes(tmp_path / name, 3, 2)
    assert "val/ and valid/ could both be val" in refusal(tmp_path)


def test_a_test_part_is_left_aside_and_counted(tmp_path):
    two_classes(tmp_path / "train", 6, 4)
    two_classes(tmp_path / "test", 3, 2)
    data = load(str(tmp_path))
    assert (len(data), data.split, data.classes) == (10, None, ("cats", "dogs"))
    assert data.notes[0] == "left aside 5 images in test/: neither trained on nor validated with"


def test_other_folders_beside_the_parts_are_left_aside_too(tmp_path):
    for name in ("train", "val", "extra"):
        two_classes(tmp_path / name, 3, 2)
    data = load(str(tmp_path))
    assert len(data) == 10
    assert "left aside 5 images in extra/" in data.notes[0]


def test_images_may_lie_deeper_below_their_class(tmp_path):
    two_classes(tmp_path, 3, 2)
    write_images(tmp_path / "cats" / "2019" / "may", 2, 50)
    data = load(str(tmp_path))
    assert (data.classes, len(data), data.notes) == (("cats", "dogs"), 7, ())
    assert [data.classes[data.labels[i]] for i, n in enumerate(data.names) if "may" in n] == ["cats", "cats"]


def test_a_link_back_up_does_not_go_round_in_circles(tmp_path):
    two_classes(tmp_path, 3, 2)
    (tmp_path / "cats" / "all").symlink_to(tmp_path)
    assert len(load(str(tmp_path))) == 5


def test_what_machines_leave_behind_is_ignored_and_counted(tmp_path):
    two_classes(tmp_path, 3, 2)
    before = load(str(tmp_path))
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "cats/Thumbs.db", "cats/.hidden.jpg"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("__MACOSX", ".ipynb_checkpoints", "dogs/.ipynb_checkpoints"):
        write_images(tmp_path / name, 2)
    write_images(tmp_path / "__MACOSX" / "cats", 2)
    (tmp_path / "preview.jpg").write_bytes(b"x")
    data = load(str(tmp_path))
    assert (data.sha256, before.notes) == (before.sha256, ())
    ignored, outside = data.notes
    assert ignored.startswith("ignored 5 files without an image and 3 folders of a machine's: .DS_Store, ")
    assert outside == "ignored 1 image outside a class's folder: preview.jpg"


def test_a_folder_without_images_is_no_class_and_said(tmp_path):
    two_classes(tmp_path, 3, 2)
    (tmp_path / "birds").mkdir()
    data = load(str(tmp_path))
    assert data.classes == ("cats", "dogs")
    assert data.notes == ("left out 1 folder without images: birds",)


def test_a_pipe_is_no_image_and_is_not_waited_for(tmp_path):
    two_classes(tmp_path, 3, 2)
    os.mkfifo(tmp_path / "cats" / "000.png")
    assert load(str(tmp_path)).notes == ("ignored 1 file without an image: cats/000.png",)


def test_a_folder_too_high_is_refused_with_the_one_that_is_meant(tmp_path):
    two_classes(tmp_path / "photos", 3, 2)
    message = refusal(tmp_path)
    assert "found one class (photos), which holds cats, dogs" in message
    assert message.endswith(f"Then give {tmp_path / 'photos'}")


def test_three_classes_are_named_in_order_and_none_is_positive(tmp_path):
    write_images(two_classes(tmp_path) / "owls", 3, 2000)
    data = load(str(tmp_path))
    assert data.classes == ("cats", "dogs", "owls")
    assert np.bincount(data.labels).tolist() == [12, 8, 3]
    assert "of two classes one is positive; " in refusal(tmp_path, positive="owls")


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    for number in (10, 9, 100):
        write_images(tmp_path / str(number), 2, number)
    assert load(str(tmp_path)).classes == ("9", "10", "100")


def test_an_umlaut_is_one_class_however_it_is_written(tmp_path):
    for part, form in (("train", "NFC"), ("val", "NFD")):
        for number, name in enumerate(("Äpfel & Birnen", "Nüsse")):
            write_images(tmp_path / part / unicodedata.normalize(form, name), 3 - number, 10 * number)
    data = load(str(tmp_path))
    assert data.classes == ("Äpfel & Birnen", "Nüsse")
    assert load(str(tmp_path), positive=unicodedata.normalize("NFD", "Äpfel & Birnen")).labels.sum() == 6


def test_a_class_of_three_images_is_in_both_parts(tmp_path):
    write_images(two_classes(tmp_path) / "owls", 3, 2000)
    data = load(str(tmp_path))
    for seed in range(5):
        train, val = split(data, seed)
        assert np.bincount(data.labels[train], minlength=3).tolist() == [10, 6, 2]
        assert np.bincount(data.labels[val], minlength=3).tolist() == [2, 2, 1]


def test_a_subset_has_every_class_in_proportion(tmp_path):
    write_images(two_classes(tmp_path, 40, 20) / "owls", 3, 2000)
    data = load(str(tmp_path))
    train, val = split(data, 0, 12)
    assert np.bincount(data.labels[train], minlength=3).tolist() == [7, 4, 1]
    assert np.bincount(data.labels[val], minlength=3).tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="--images 2: there are 3 classes"):
        split(data, 0, 2)


def test_the_same_image_in_two_classes_is_counted(tmp_path):
    two_classes(tmp_path, 4, 3)
    for number in range(2):
        shutil.copy(tmp_path / "cats" / f"00{number}.jpg", tmp_path / "dogs" / f"copy{number}.jpg")
    (note,) = load(str(tmp_path)).notes
    assert note == (
        "2 images in more than one class: cats/000.jpg = dogs/copy0.jpg, cats/001.jpg = dogs/copy1.jpg"
    )


def test_an_image_that_is_there_twice_is_counted(tmp_path):
    two_classes(tmp_path, 4, 3)
    shutil.copy(tmp_path / "cats" / "000.jpg", tmp_path / "cats" / "again.jpg")
    (note,) = load(str(tmp_path)).notes
    assert note.startswith("1 image there more than once, so that training and validation can share them: ")


def test_an_image_in_train_and_in_val_is_counted(tmp_path):
    two_classes(tmp_path / "train", 6, 4)
    two_classes(tmp_path / "val", 3, 2)
    pattern(77).save(tmp_path / "val" / "cats" / "own.jpg")
    (note,) = load(str(tmp_path)).notes
    assert note.startswith("5 images both trained on and validated with: train/cats/000.jpg = val/cats/000")


@pytest.mark.parametrize(
    "names",
    [
        ("train", "test"),
        ("train2017", "val2017"),
        ("seg_train", "seg_test", "seg_pred"),
        ("Training", "Validation"),
    ],
)
def test_parts_that_hold_no_classes_are_not_taken_for_classes(tmp_path, names):
    for number, name in enumerate(names):
        write_images(tmp_path / name, 3, 10 * number)
    message = refusal(tmp_path)
    assert f"{names[0]}/" in message
    assert f"{names[1]}/" in message
    assert "look like parts of a data set, not like classes" in message


def test_trains_may_be_a_class_beside_others(tmp_path):
    for number, name in enumerate(("train", "bus")):
        write_images(tmp_path / name, 3, 10 * number)
    assert load(str(tmp_path)).classes == ("bus", "train")


def test_a_class_of_other_formats_alone_is_refused_and_single_images_are_counted(tmp_path):
    two_classes(tmp_path, 3, 2)
    (tmp_path / "cats" / "phone.HEIC").write_bytes(b"x")
    assert load(str(tmp_path)).notes == ("ignored 1 image of other formats: cats/phone.HEIC",)
    (tmp_path / "owls").mkdir()
    (tmp_path / "owls" / "phone.heic").write_bytes(b"x")
    assert "the images of owls are of a format that isn't read" in refusal(tmp_path)


def test_images_without_folders_are_counted_and_the_list_beside_them_is_named(tmp_path):
    write_images(tmp_path, 3)
    assert "3 images, but none in a class's folder" in refusal(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label")
    assert refusal(tmp_path).endswith(f"; or give {tmp_path / 'labels.csv'}, if that lists them")


def test_what_pillow_warns_of_is_nothing_to_a_person(tmp_path, recwarn):
    two_classes(tmp_path, 3, 2)
    content = (tmp_path / "cats" / "000.jpg").read_bytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    mark = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big")
    (tmp_path / "cats" / "000.jpg").write_bytes(content[:2] + mark + exif + content[2:])
    assert len(load(str(tmp_path))) == 5
    assert not recwarn.list
