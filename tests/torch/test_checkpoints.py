"""Checkpoints as people's training scripts leave them: wrapped, and with all kinds of things beside the weights."""

import argparse
import pathlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import numpy as np
import pytest
import torch

from compare.spec import InputError
from compare.weights.reading import read
from compare.weights.source import Beside
from compare.weights.sources import resolve
from tests.support.torch_models import small
from torch_impl import weights


@dataclass
class Settings:
    """A training script's own class, which nobody else can import."""

    rate: float = 0.1


class Stage(Enum):
    LAST = 3


EXTRAS = {
    "args": argparse.Namespace(lr=0.1, out=pathlib.Path("runs/a")),
    "best": np.float64(0.93),
    "scores": np.arange(3),
    "generator": np.random.default_rng(0).bit_generator.state,
    "settings": Settings(),
    "stage": Stage.LAST,
    "when": datetime(2024, 1, 1, tzinfo=UTC),
    "counts": Counter("aab"),
    "loss": torch.tensor(0.3),
    "device": torch.device("cpu"),
    "dtype": torch.bfloat16,
    "names": {"a", "b"},
    "raw": b"bytes",
}


@pytest.fixture(scope="module")
def model():
    return small("vgg16")


def held(path, model):
    source = read(path)
    expected = weights.to_arrays(model)
    assert source.arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(source.arrays[name], array, name)
    return source


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", EXTRAS)
def test_what_lies_beside_the_weights_is_left_and_named(tmp_path, model, name, zipped):
    content = {"model": model.state_dict(), name: EXTRAS[name]}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert held(tmp_path / "a.pth", model).beside == ((name, Beside.OTHER),)


@pytest.mark.parametrize(
    "where",
    ["state_dict", "model", "net", "weights", "model_state_dict", "ema", "network", "module", "my_own_name"],
)
def test_a_state_dict_is_found_whatever_it_is_wrapped_in(tmp_path, model, where):
    torch.save({where: model.state_dict(), "epoch": 3}, tmp_path / "a.pth")
    assert held(tmp_path / "a.pth", model).where == (where,)


class Attributes(dict):
    """A dictionary of a training script's own."""

    __getattr__ = dict.__getitem__


@pytest.mark.parametrize("kind", [lambda state: defaultdict(int, state), Attributes])
def test_a_state_dict_may_lie_in_any_kind_of_dictionary(tmp_path, model, kind):
    torch.save(Attributes(model=kind(model.state_dict()), epoch=3), tmp_path / "a.pth")
    assert held(tmp_path / "a.pth", model).where == ("model",)


def test_wrappers_in_wrappers(tmp_path, model):
    torch.save({"checkpoint": {"model": {"state_dict": model.state_dict()}}, "epoch": 3}, tmp_path / "a.pth")
    assert held(tmp_path / "a.pth", model).where == ("checkpoint", "model", "state_dict")


def test_a_lightning_checkpoint(tmp_path, model):
    state = {f"model.{key}": tensor for key, tensor in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters())
    content = {
        "epoch": 1,
        "global_step": 4,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": state,
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"lr": 0.1},
    }
    torch.save(content, tmp_path / "a.ckpt")
    source = held(tmp_path / "a.ckpt", model)
    assert ("optimizer_states", Beside.OPTIMIZER) in source.beside


def test_a_checkpoint_of_the_optimizer_alone_is_no_state_dict(tmp_path, model):
    torch.save({"optimizer": torch.optim.Adam(model.parameters()).state_dict()}, tmp_path / "a.pth")
    with pytest.raises(InputError, match="is not a state dict"):
        read(tmp_path / "a.pth")


def test_parameters_views_and_transposed_tensors_keep_their_numbers(tmp_path):
    model = small("vgg16")
    state = {key: torch.nn.Parameter(tensor) for key, tensor in model.state_dict().items()}
    wide = torch.rand(3, 64, 3, 2 * 3)
    name = "backbone.block1_conv1.weight"
    shape = state[name].shape
    state[name] = wide.permute(1, 0, 2, 3)[: shape[0], :, :, ::2]
    torch.save(state, tmp_path / "a.pth")
    expected = state[name].permute(2, 3, 1, 0).numpy()
    np.testing.assert_array_equal(read(tmp_path / "a.pth").arrays["block1_conv1/kernel"], expected)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("zipped", [True, False])
def test_in_a_list_the_one_that_fits_is_taken(tmp_path, model, kind, zipped):
    decoder = {f"up.{key}": tensor for key, tensor in torch.nn.Linear(3, 3).state_dict().items()}
    decoder |= {f"more.{number}.weight": torch.ones(2) for number in range(30)}
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9).state_dict()
    content = kind([optimizer, decoder, model.state_dict(), 7])
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    source = held(tmp_path / "a.pth", model)
    assert source.where == (2,)
    assert dict(source.beside) == {
        "item 0 (an optimizer)": Beside.OPTIMIZER,
        "item 1": Beside.NETWORK,
        "item 3": Beside.OTHER,
    }


def test_a_list_of_several_that_fit_is_refused_with_how_to_save_one(tmp_path, model):
    torch.save({"folds": [model.state_dict() for _ in range(5)], "epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(InputError) as error:
        read(tmp_path / "a.pth")
    assert str(error.value).endswith(
        "a.pth is a list of 5 networks; save the one that is wanted alone:"
        " torch.load(...)['folds'][0] or ['folds'][1] or ['folds'][2]"
    )


def test_another_network_beside_the_one_that_is_taken_is_called_one(tmp_path, model):
    content = {"student": model.state_dict(), "teacher": model.state_dict(), "epoch": 3}
    torch.save(content, tmp_path / "a.pth")
    source = held(tmp_path / "a.pth", model)
    assert (source.where, dict(source.beside)) == (
        ("teacher",),
        {"student": Beside.NETWORK, "epoch": Beside.OTHER},
    )
    why = resolve(str(tmp_path / "a.pth"), source.backbone, tmp_path / "out")["why"]
    assert "; its teacher is taken and not student, another network" in why
