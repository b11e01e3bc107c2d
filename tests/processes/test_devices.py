"""Which device a framework gets: with frameworks that say what they see, and no card anywhere."""

import json
import os

import pytest

from compare import frameworks
from compare.cells.store import differences
from compare.cli import app as cli
from compare.frameworks import FRAMEWORKS
from compare.processes import devices
from compare.processes.devices import Devices, find, unseen
from compare.processes.local import Local
from compare.processes.worker import Worker
from compare.spec import InputError
from tests.support import fake_cells
from tests.support.command_line import options, photos_in

CARD = "NVIDIA H100"


def sees(**seen):
    """Frameworks that see so many cards, and no Apple GPU."""
    return lambda framework, kind: (
        [CARD] * seen.get(framework.name.replace("-", "_"), 0) if kind == "cuda" else []
    )


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_auto_takes_the_accelerator_where_a_framework_sees_one_and_says_so():
    found = find("auto", ["keras", "torch"], sees(torch=2))
    assert found.of == {"keras": "cpu", "torch": "cuda"}
    assert found.called == {"keras": "cpu", "torch": f"cuda ({CARD})"}
    assert found.workers == 2
    assert (
        found.said == f"devices: Keras on TensorFlow on cpu; PyTorch on cuda ({CARD}); 2 cards, a worker each"
    )


def test_without_any_sign_of_a_card_nobody_is_asked_and_nothing_said(monkeypatch):
    monkeypatch.setattr(devices, "plausible", lambda kind: False)
    monkeypatch.setattr(devices, "Worker", None)
    for asked in ("auto", "cpu"):
        found = find(asked, ["keras", "torch"])
        assert (found.of, found.said, found.workers) == ({"keras": "cpu", "torch": "cpu"}, "", None)


def test_each_worker_is_pinned_to_the_card_that_fewest_have():
    found = find("cuda", ["torch"], sees(torch=2))
    taken = []
    for _ in range(4):
        taken.append(found.pinned("torch", taken))
    assert taken == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    del taken[1]
    assert found.pinned("torch", taken) == "cuda:1"
    assert find("cuda:1", ["torch"], sees(torch=2)).pinned("torch", []) == "cuda:1"
    assert Devices().pinned("torch", []) == "cpu"


def test_cards_are_called_as_the_environment_calls_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7f")
    found = find("cuda", ["torch"], sees(torch=2))
    assert found.cards == ("5", "GPU-7f")
    assert (
        FRAMEWORKS["torch"].environment(1, found.pinned("torch", ["cuda:5"]))["CUDA_VISIBLE_DEVICES"]
        == "GPU-7f"
    )


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_environment_shows_a_worker_its_own_card_and_no_other(name):
    framework = FRAMEWORKS[name]
    assert framework.environment(1)["CUDA_VISIBLE_DEVICES"] == "-1"
    assert framework.environment(1, "cuda:3")["CUDA_VISIBLE_DEVICES"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in framework.environment(1, "cuda")  # a cluster has set it


def test_on_a_card_each_framework_is_told_to_give_the_same_bytes_and_whole_products(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=here")
    on_card = {name: framework.environment(1, "cuda:0") for name, framework in FRAMEWORKS.items()}
    for name in ("torch", "keras-torch"):
        assert on_card[name]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    jax = on_card["keras-jax"]
    assert jax["XLA_FLAGS"] == "--xla_dump_to=here --xla_gpu_deterministic_ops=true"
    assert (jax["JAX_PLATFORMS"], jax["JAX_DEFAULT_MATMUL_PRECISION"]) == ("cuda", "highest")
    assert FRAMEWORKS["keras-jax"].environment(1)["JAX_PLATFORMS"] == "cpu"


def test_local_workers_get_the_cards_in_turn(monkeypatch):
    started = []

    class Fake:
        def __init__(self, framework, threads, dtype, prepared, device):
            self.device = device
            started.append(device)

    monkeypatch.setattr("compare.processes.local.Worker", Fake)
    local = Local(1, devices=find("auto", ["keras", "torch"], sees(torch=2)))
    for name in ("torch", "keras", "torch"):
        local.start(FRAMEWORKS[name])
    assert started == ["cuda:0", "cpu", "cuda:1"]


@pytest.mark.parametrize(
    ("asked", "seen", "words"),
    [
        ("gpu", {}, "--device gpu: it can be auto, cpu, cuda, cuda:N or mps"),
        ("cuda:x", {}, "--device cuda:x: it can be auto"),
        (
            "cuda:2",
            {"torch": 2, "keras": 2},
            "--device cuda:2: there is no such card; there are cuda:0, cuda:1",
        ),
        (
            "cuda",
            {"torch": 1},
            "Keras on TensorFlow computes on no cuda device; get its CUDA packages with: pip",
        ),
        ("mps", {}, "Keras on TensorFlow computes on no mps device; take --device auto"),
    ],
)
def test_what_is_not_there_is_one_line(asked, seen, words):
    with pytest.raises(InputError) as raised:
        find(asked, ["keras", "torch"], sees(**seen))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("device", ["cuda", "mps", "gpu"])
def test_the_command_refuses_a_device_that_is_not_there_and_writes_nothing(
    tmp_path, monkeypatch, capsys, device
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "plausible", lambda kind: False)
    photos_in(tmp_path)
    assert cli.main(options("run", "--device", device)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"--device {device}: " in said
    assert not (tmp_path / "run").exists()


def test_a_worker_sees_its_own_card_and_knows_its_device():
    with Worker(FRAMEWORKS["torch"], 1, prepared=False, device="cuda:1") as worker:
        assert worker.call(os.getenv, "CUDA_VISIBLE_DEVICES") == "1"
        assert worker.call(frameworks.device) == "cuda"


def test_a_run_says_its_device_keeps_it_and_is_not_gone_on_with_on_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photos_in(tmp_path)
    fake_cells.install(monkeypatch.setattr)
    monkeypatch.setattr(devices, "plausible", lambda kind: kind == "cuda")
    monkeypatch.setattr(devices, "_ask", sees(torch=2))
    assert cli.main(options("run")) == 0
    said = f"devices: Keras on TensorFlow on cpu; PyTorch on cuda ({CARD}); 2 cards, a worker each\n"
    assert said in capsys.readouterr().err
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["devices"] == {"keras": "cpu", "torch": f"cuda ({CARD})"}
    before = (tmp_path / "run/results.csv").read_bytes()
    assert cli.main(options("run", "--resume", "--device", "cpu")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == (
        "error: --resume with other settings than run has: "
        f"devices.torch: was cuda ({CARD}), now cpu (on another device the last digits differ)"
    )
    assert (tmp_path / "run/results.csv").read_bytes() == before
    assert cli.main(options("run", "--resume")) == 0


def test_on_a_cluster_the_device_is_taken_at_its_word():
    assert unseen("auto", ["torch"]).of == {"torch": "cpu"}
    assert unseen("cuda", ["torch"]).pinned("torch", ["cuda"]) == "cuda"


def test_a_run_is_not_gone_on_with_on_another_device():
    old = {"frameworks": ["keras", "torch"]}  # from before there was a choice
    assert differences(old, {**old, "devices": {"keras": "cpu", "torch": "cpu"}}) == []
    now = {**old, "devices": {"keras": "cpu", "torch": f"cuda ({CARD})"}}
    assert list(map(str, differences(old, now))) == [f"devices.torch: was cpu, now cuda ({CARD})"]
