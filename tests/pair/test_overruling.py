"""A map file overrules what was found; what can't be is refused in one line."""

import numpy as np
import pytest

from compare.pair import arrays, mapfile
from compare.pair.arrays import Binding, Map
from compare.pair.layouts import Layout
from compare.pair.overruling import overrule
from compare.pair.records import Held
from compare.spec import InputError


def held(**shapes):
    names = {name.replace("__", "/").replace("_dot_", "."): shape for name, shape in shapes.items()}
    return {name: Held(name, shape, True, None, "") for name, shape in names.items()}


KERAS = held(a__kernel=(2, 3), b__kernel=(2, 3), qkv__kernel=(2, 6))
TORCH = held(
    one_dot_weight=(3, 2),
    two_dot_weight=(3, 2),
    q_dot_weight=(2, 2),
    k_dot_weight=(2, 2),
    v_dot_weight=(2, 2),
)
TURN = Layout("transposed", (("transpose", (1, 0)),))


def found():
    return Map(
        [Binding("a/kernel", "one.weight", TURN, ""), Binding("b/kernel", "two.weight", TURN, "")], [], []
    )


def names(result):
    return {binding.keras: binding.torch for binding in result.bindings}


def test_a_partial_file_overrules_and_what_loses_its_partner_is_named():
    result = overrule(found(), {"a/kernel": "two.weight"}, KERAS, TORCH)
    assert names(result) == {"a/kernel": "two.weight"}
    assert {one.name for one in result.left} == {"b/kernel", "one.weight"}


def test_a_star_stands_for_the_same_text():
    result = overrule(
        Map([], [], []), {"*/kernel": "*.weight"}, held(one__kernel=(2, 3), two__kernel=(2, 3)), TORCH
    )
    assert names(result) == {"one/kernel": "one.weight", "two/kernel": "two.weight"}


@pytest.mark.parametrize("value", [["q.weight", "k.weight", "v.weight"], "q.weight + k.weight + v.weight"])
def test_one_array_into_several(value):
    result = overrule(found(), {"qkv/kernel": value}, KERAS, TORCH)
    kernel = np.arange(12.0).reshape(2, 6)
    empty = {name: np.zeros(one.shape) for name, one in TORCH.items()}
    made = arrays.to_torch(
        result, {"a/kernel": np.ones((2, 3)), "b/kernel": np.ones((2, 3)), "qkv/kernel": kernel}, empty
    )
    for n, name in enumerate("qkv"):
        np.testing.assert_array_equal(made[f"{name}.weight"], kernel[:, 2 * n : 2 * n + 2].T)


def test_a_part_of_an_array():
    keras, torch = held(q__kernel=(2, 2)), held(qkv_dot_weight=(6, 2))
    given = {"q/kernel": {"torch": "qkv.weight", "layout": "transposed", "part": [2, 4]}}
    result = overrule(Map([], [], []), given, keras, torch)
    kernel = np.arange(4.0).reshape(2, 2)
    made = arrays.to_torch(result, {"q/kernel": kernel}, {"qkv.weight": np.zeros((6, 2))})["qkv.weight"]
    np.testing.assert_array_equal(made[2:4], kernel.T)
    assert not made[:2].any()
    np.testing.assert_array_equal(
        arrays.to_keras(result, {"qkv.weight": made}, {"q/kernel": np.zeros((2, 2))})["q/kernel"], kernel
    )


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"c/kernel": "one.weight"}, "no array c/kernel"),
        ({"a/kernel": "three.weight"}, "no array three.weight"),
        ({"a/kernel": "q.weight"}, "can't lie"),
        ({"a/kernel": {"torch": "one.weight", "part": [1, 9]}}, "part"),
    ],
)
def test_what_can_t_be_is_refused(given, word):
    with pytest.raises(InputError, match=word):
        overrule(found(), given, KERAS, TORCH)


@pytest.mark.parametrize(
    ("text", "word"),
    [('{"a": "x", "a": "y"}', "twice"), ("[1]", "table"), ("{", "JSON"), ('{"a": 3}', "must be a name")],
)
def test_a_file_that_is_no_map_is_refused(tmp_path, text, word):
    path = tmp_path / "names.json"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        mapfile.read(path)


def test_a_map_that_was_written_can_be_given_back(tmp_path):
    mapfile.write(tmp_path / "names.json", found())
    result = overrule(found(), mapfile.read(tmp_path / "names.json"), KERAS, TORCH)
    assert names(result) == names(found())
    assert not result.left
