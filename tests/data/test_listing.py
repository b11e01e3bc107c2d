"""A .csv of paths and labels, as spreadsheets write it."""

from __future__ import annotations

import pytest

from compare.data import load
from compare.spec import InputError
from tests.support.image_files import two_classes

ROWS = [f"cats/{n:03}.jpg,cats" for n in range(4)] + [f"dogs/{n:03}.jpg,dogs" for n in range(3)]


@pytest.fixture
def listed(tmp_path):
    """Write a list beside the images, and return its path."""
    two_classes(tmp_path, 4, 3)

    def write(text, encoding="utf-8"):
        (tmp_path / "list.csv").write_bytes(text.encode(encoding))
        return str(tmp_path / "list.csv")

    return write


def refusal(path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "header",
    ["path,label", "Filename,Class", "image,category", "Image Path,Finding Labels", "image_id,target", None],
)
def test_paths_and_labels_are_read_whatever_they_are_called(listed, header):
    data = load(listed("\n".join(([header] if header else []) + ROWS)))
    assert (data.classes, data.labels.tolist()) == (("cats", "dogs"), [0, 0, 0, 0, 1, 1, 1])
    assert data.read(4, 8).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("separator", "encoding"),
    [
        (";", "cp1252"),
        ("\t", "utf-8-sig"),
        (",", "utf-16"),
        (";", "utf-8"),
        ("|", "utf-16-le"),
        (",", "utf-16-be"),
    ],
)
def test_spreadsheets_separators_and_encodings(listed, separator, encoding):
    text = (
        "\r\n".join(["path,label", *ROWS, "", ","]).replace(",", separator).replace("dogs" + "\r", "Hündin\r")
    )
    data = load(listed(text, encoding))
    assert data.classes == ("cats", "Hündin")


def test_columns_may_stand_anywhere_and_labels_be_numbers(listed):
    rows = [
        f"7,{row.split(',')[1].replace('cats', '10').replace('dogs', '9')},{row.split(',')[0]}"
        for row in ROWS
    ]
    data = load(listed("\n".join(["age,label,path", *rows])))
    assert data.classes == ("10", "9")  # the rarer is positive
    assert load(listed("\n".join(["age,label,path", *rows])), positive="10").labels.sum() == 4


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_columns_with_other_names_that_with_files_is_of_paths(listed, order):
    rows = [";".join(row.split(",")[::order]) for row in ["Bilddatei,Klasse", *ROWS]]
    data = load(listed("\n".join(rows)))
    assert (data.classes, len(data)) == (("cats", "dogs"), 7)


def test_more_columns_with_other_names_are_refused_and_so_are_files_that_are_not_there(listed):
    three = [row + ",x" for row in ["Bilddatei,Klasse", *ROWS]]
    assert "not Bilddatei, Klasse, x" in refusal(listed("\n".join(three)))
    assert "not Bilddatei, Klasse" in refusal(listed("Bilddatei,Klasse\nnowhere.jpg,cats\n"))


def test_a_part_column_splits_and_leaves_the_test_part_aside(listed):
    parts = ["train", "Valid", "test", "train", "train", "dev", "test"]
    data = load(
        listed("\n".join(["path,label,split", *(f"{r},{p}" for r, p in zip(ROWS, parts, strict=True))]))
    )
    assert data.split.tolist() == [0, 1, 0, 0, 1]
    assert data.notes == ("left aside 2 images of the test part",)


def test_excels_own_first_line_says_what_separates(listed):
    text = "\n".join(["sep=;", "path;label", *ROWS]).replace(",", ";")
    assert len(load(listed(text))) == 7


def test_a_path_may_lack_its_suffix(listed):
    data = load(listed("\n".join(["id,label", *ROWS]).replace(".jpg", "")))
    assert data.names[0] == "cats/000.jpg"


def test_a_row_that_is_there_again_is_left_out_and_counted(listed):
    data = load(listed("\n".join(["path,label", *ROWS, *ROWS[:2]])))
    assert (len(data), data.notes) == (7, ("left out 2 repeated rows",))


def test_an_image_with_two_labels_is_said(listed):
    (note,) = load(listed("\n".join(["path,label", *ROWS, ROWS[0].replace(",cats", ",dogs")]))).notes
    assert note.startswith("1 image in more than one class: cats/000.jpg")


def test_paths_of_windows_and_absolute_ones(listed, tmp_path):
    rows = [row.replace("/", "\\") for row in ROWS[:-1]] + [f"{tmp_path}/dogs/002.jpg,dogs"]
    assert len(load(listed("\n".join(["path,label", *rows])))) == 7


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no columns of paths and labels; it must have path and label, not nothing"),
        ("a,b\n1,2", "not a, b"),
        ("path,label", "no images"),
        ("path,label\ncats/000.jpg,", "row 1 has no label"),
        ("path,label\ncats/9.jpg,cats\ndogs/000.jpg,dogs", "1 of 2 files aren't there: cats/9.jpg"),
        ("path,label\ncats/000.jpg,cats", "found one class (cats)"),
        ("path,label,split\ncats/000.jpg,cats,later", "the part 'later' is none of train, val and test"),
        ("path,label,split\ncats/000.jpg,cats,train\ndogs/000.jpg,dogs,", "no part for dogs/000.jpg"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(listed, text, words):
    assert words in refusal(listed(text))


def test_a_list_that_is_not_there_is_refused(tmp_path):
    assert "No such file" in refusal(str(tmp_path / "none.csv"))
