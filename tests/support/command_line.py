"""A small command line run, for the tests of it."""

from compare.cli import app as cli
from tests.support.image_files import two_classes


def photos_in(folder):
    """A small folder of images, ``photos``."""
    two_classes(folder / "photos")
    return folder


def options(out, *more):
    small = [
        "--data",
        "photos",
        "--weights",
        "random",
        "--batch-size",
        "4",
        "--image-size",
        "32",
        "--epochs",
        "2",
    ]
    policies = ["--policy", "frozen", "--policy", "fine-tune"]
    return ["run", "--backbone", "resnet50", *small, *policies, "--out", out, "--jobs", "2", *more]


def refused(capsys, *arguments):
    """The one line that a command ends with which can't be run."""
    assert cli.main(list(arguments)) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.startswith("error: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1
    return stderr
