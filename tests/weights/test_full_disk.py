"""A disk that is full where downloads are kept: said in a line as what it is."""

import pytest
from safetensors import SafetensorError

from compare.cli.app import main
from compare.spec import InputError
from compare.weights import sources
from tests.support.far_functions import download_that_keras_reports, download_to_a_full_disk

DOWNLOADS = {"imagenet": "keras_download", "imagenet-torchvision": "torch_download"}


@pytest.fixture(autouse=True)
def answering(monkeypatch, tmp_path):
    """Every host answers, and nothing is kept yet."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(sources, "_silence", lambda url: "")


@pytest.mark.parametrize("weights", DOWNLOADS)
@pytest.mark.parametrize("download", [download_to_a_full_disk, download_that_keras_reports])
def test_a_full_disk_is_said_with_the_folder(tmp_path, monkeypatch, weights, download):
    monkeypatch.setattr(sources, DOWNLOADS[weights], download)
    with pytest.raises(InputError) as error:
        sources.resolve(weights, "resnet50", tmp_path / "out")
    folder = tmp_path / ("keras/models" if weights == "imagenet" else "torch/hub/checkpoints")
    assert str(error.value) == f"--weights {weights}: can't keep the download in {folder}: its disk is full"
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_one_line_and_two(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sources, "keras_download", download_to_a_full_disk)
    options = ["--backbone", "resnet50", "--weights", "imagenet", "--out", str(tmp_path / "run")]
    assert main(["run", *options]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("its disk is full")


def test_another_reason_not_to_keep_a_download_is_said_too(tmp_path):
    (tmp_path / "torch").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"can't keep the download in .*checkpoints: "):
        sources.resolve("imagenet-torchvision", "resnet50", tmp_path / "out")


def test_a_full_disk_that_a_library_has_its_own_words_for_is_one_line(monkeypatch, capsys):
    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("compare.parity.certificate.check_parity", full)
    assert main(["parity", "--backbone", "vgg16"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: No space left on device; temporary files are in ")
