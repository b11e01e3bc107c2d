"""A .csv of paths and labels, as spreadsheets write it."""

from __future__ import annotations

import shutil

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


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("data set", ("train", "valid")),
        ("Usage", ("Training", "Validation")),
        ("is_valid", ("False", "True")),
        ("is_val", ("0", "1")),
    ],
)
def test_a_column_of_parts_is_known_by_what_stands_in_it(listed, column, words):
    rows = [f"{row},{words[number % 2]}" for number, row in enumerate(ROWS)]
    data = load(listed("\n".join([f"path,label,{column}", *rows])))
    assert data.split.tolist() == [0, 1, 0, 1, 0, 1, 0]


def test_a_column_with_other_words_is_no_part(listed):
    rows = [f"{row},{word}" for row, word in zip(ROWS, ["train", "bus", "val", *4 * ["car"]], strict=True)]
    assert load(listed("\n".join(["path,label,remark", *rows]))).split is None


def test_paths_may_be_of_the_one_folder_that_has_them_all(listed, tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("cats", "dogs"):
        (tmp_path / name).rename(tmp_path / "images" / name)
    text = "\n".join(["id,label", *ROWS]).replace(".jpg", "")
    data = load(listed(text))
    assert (data.names[0], data.notes) == ("images/cats/000.jpg", ("took the paths as of images/",))
    shutil.copytree(tmp_path / "images", tmp_path / "copy")
    assert "7 of 7 files aren't there" in refusal(listed(text))


def test_lines_with_a_blank_before_the_label(tmp_path):
    two_classes(tmp_path, 4, 3)
    (tmp_path / "val.txt").write_text("\n".join(ROWS).replace(",", " "))
    assert load(str(tmp_path / "val.txt")).labels.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_a_cell_may_hold_a_line_break(listed):
    rows = [f'{row},"two\nlines, one cell"' for row in ROWS]
    assert len(load(listed("\n".join(["path,label,remark", *rows])))) == 7


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
        ("path,label\ncats/9.jpg,cats\ndogs/000.jpg,dogs", "1 of 2 files aren't there, seen from "),
        ("path,label\ncats/000.jpg,cats", "found one class (cats)"),
        ("path,label,is_valid\ncats/000.jpg,cats,later", "the part 'later' is none of true and false"),
        ("path,label,split\ncats/000.jpg,cats,later", "the part 'later' is none of train, val and test"),
        ("path,label,split\ncats/000.jpg,cats,train\ndogs/000.jpg,dogs,", "no part for dogs/000.jpg"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(listed, text, words):
    assert words in refusal(listed(text))


@pytest.mark.parametrize(
    "content", [b"PK\3\4" + bytes(30), b"\xd0\xcf\x11\xe0" + bytes(30), b"a" + bytes(30)]
)
def test_a_workbook_and_other_binary_files_are_no_lists(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    assert ("save the sheet as .csv" in refusal(str(tmp_path / "list.csv"))) == (content[:1] != b"a")


def test_a_list_that_is_not_there_is_refused(tmp_path):
    assert "No such file" in refusal(str(tmp_path / "none.csv"))
