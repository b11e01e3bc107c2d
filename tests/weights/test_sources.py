"""compare.weights.sources: where start weights come from. Frameworks run in processes of their own."""

import http.server
import json
import re
import socketserver
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from compare.spec import InputError
from compare.weights import sources
from compare.weights.shapes import random_arrays
from tests.support import far_functions
from tests.support.waiting import LONG
from tests.support.weight_files import arrays_of, write_legacy

PATIENCE = sources.PATIENCE
ROOT = Path(__file__).parents[2]
NETWORKS = [("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")]


@pytest.fixture(autouse=True)
def nothing_cached(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(sources, "PRETEXT", tmp_path)
    monkeypatch.setattr(sources, "PATIENCE", LONG)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def offline(monkeypatch):
    """Send every request to a port that nobody listens on."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


@pytest.fixture
def pretext(tmp_path):
    arrays = arrays_of("resnet50")
    half = {name: array.astype("float16") for name, array in arrays.items()}
    safetensors.numpy.save_file(half, tmp_path / "resnet50.safetensors", {"preprocessing": "caffe"})
    return {name: array.astype("float32") for name, array in half.items()}


@pytest.fixture
def serve():
    """Serve bytes over HTTP, all of them or a part of what the header promises; or nothing, until the test ends."""
    servers, over = [], threading.Event()

    def start(content, share=1.0, silent=False):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                if silent:
                    over.wait(LONG)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()

            def do_GET(self):
                self.do_HEAD()
                self.wfile.write(content[: int(share * len(content))])

            def log_message(self, *_):
                pass

        servers.append(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))
        servers[-1].daemon_threads = True
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def python(code, *arguments):
    """Run code in a process of its own, and return what it printed as JSON."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def loaded(path):
    with safetensors.safe_open(path, "numpy") as file:
        return safetensors.numpy.load_file(path), file.metadata()


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected[name], name)


def test_a_file_becomes_float32_arrays_of_the_backbone(tmp_path):
    expected = arrays_of("resnet50")
    path = write_legacy(tmp_path / "a.h5", expected | {"predictions/bias": np.ones(3, "float32")})
    facts = sources.resolve(str(path), "resnet50", tmp_path / "out.safetensors")
    arrays, metadata = loaded(tmp_path / "out.safetensors")
    assert_equal(arrays, expected)
    network = {
        "backbone": "resnet50",
        "variant": "v1",
        "width": 0.25,
        "preprocessing": "caffe",
        "source": str(path),
    }
    assert metadata == {key: str(value) for key, value in network.items()}
    digest = sha256((tmp_path / "out.safetensors").read_bytes()).hexdigest()
    assert facts == {
        **network,
        "sha256": digest,
        "why": f"weights: {path}; its head is left (predictions)",
    }
    assert {file.name for file in tmp_path.iterdir()} == {"a.h5", "out.safetensors"}


def test_random_is_seeded_and_starts_as_networks_start(tmp_path):
    facts = sources.resolve("random", "resnet50", tmp_path / "a", 1)
    again = sources.resolve("random", "resnet50", tmp_path / "b", 1)
    other = sources.resolve("random", "resnet50", tmp_path / "c", 2)
    assert facts == again
    assert facts["sha256"] != other["sha256"]
    assert (facts["width"], facts["variant"], facts["source"]) == (0.25, "v1", "random")
    arrays = random_arrays("resnet50", "v1", 0.25, 1)
    assert_equal(loaded(tmp_path / "a")[0], arrays)
    kernel = arrays["conv4_block1_2_conv/kernel"]  # (3, 3, 64, 64)
    assert kernel.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert not arrays["conv1_conv/bias"].any()
    assert (arrays["conv1_bn/moving_variance"] == 1).all()


def test_equal_weights_are_equal_bytes_in_every_process(tmp_path):
    code = "import sys; from pathlib import Path; from compare.weights.sources import resolve;"
    code += "print('\"' + resolve('random', 'vgg16', Path(sys.argv[1]), 0)['sha256'] + '\"')"
    assert len({python(code, tmp_path / "a") for _ in range(4)}) == 1


def test_neither_framework_is_imported(tmp_path):
    path = write_legacy(tmp_path / "a.h5", arrays_of("vgg16"))
    code = "import json, sys; from pathlib import Path; from compare.weights.sources import resolve;"
    code += "resolve(sys.argv[1], 'vgg16', Path(sys.argv[1] + '.out'));"
    code += "print(json.dumps([name for name in ('keras', 'tensorflow', 'torch') if name in sys.modules]))"
    assert python(code, path) == []


def test_imagenet_is_keras_file_where_it_is_cached(tmp_path, offline):
    expected = arrays_of("resnet50")
    models = tmp_path / "keras" / "models"
    models.mkdir(parents=True)
    name = "resnet50_weights_tf_dim_ordering_tf_kernels.h5"  # the file with the classifier does, too
    write_legacy(models / name, expected | {"predictions/bias": np.ones(3, "float32")})
    facts = sources.resolve("imagenet", "resnet50", tmp_path / "out")
    assert_equal(loaded(tmp_path / "out")[0], expected)
    assert facts["source"] == "imagenet"
    assert facts["why"].startswith("weights: imagenet")
    assert facts["why"].endswith("--weights pretext takes the small network that ships")


def test_pretext_needs_no_network_and_says_how_to_get_the_other(tmp_path, offline, pretext):
    facts = sources.resolve("pretext", "resnet50", tmp_path / "out")
    assert_equal(loaded(tmp_path / "out")[0], pretext)
    assert (facts["source"], facts["preprocessing"]) == ("pretext", "caffe")
    assert "--weights imagenet takes the one that Keras downloads" in facts["why"]


def test_a_host_has_seconds_to_answer():
    assert PATIENCE < 5


def test_imagenet_gives_up_when_the_host_is_silent(tmp_path, monkeypatch, serve, offline):
    """Whoever waited for it would be answered, and go on to download."""
    monkeypatch.setattr(sources, "PATIENCE", 2.0)
    monkeypatch.setitem(sources.KERAS_URLS, "resnet50", serve(b"", silent=True) + "/a_notop.h5")
    with pytest.raises(InputError, match=r"127\.0\.0\.1 does not answer"):
        sources.resolve("imagenet", "resnet50", tmp_path / "out")


def test_a_download_that_fails_is_said_in_a_line(tmp_path, monkeypatch, offline):
    monkeypatch.setattr(sources, "_silence", lambda url: "")  # it answered; then the network went away
    with pytest.raises(InputError) as error:
        sources.resolve("imagenet", "resnet50", tmp_path / "out")
    assert "the download failed: URL fetch failure on https://storage.googleapis.com" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("weights", ["imagenet", "imagenet-torchvision"])
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16"])
def test_without_network_the_error_says_what_to_put_where(tmp_path, offline, weights, backbone):
    with pytest.raises(InputError) as error:
        sources.resolve(weights, backbone, tmp_path / "out")
    keras = weights == "imagenet"
    url = (sources.KERAS_URLS if keras else sources.TORCHVISION_URLS)[backbone]
    place = tmp_path / ("keras/models" if keras else "torch/hub/checkpoints") / url.rpartition("/")[2]
    assert f"get {url} where there is a network" in str(error.value)
    assert f"{place} is missing" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


SAVE_TORCH = """
import sys, torch
from torch_impl import transfer
model = transfer.build("resnet50", "v1.5", 0.25).backbone
model.conv3_block1.bn3.running_mean.copy_(torch.rand(128))
torch.save(model.state_dict(), sys.argv[1])
print(model.conv3_block1.bn3.running_mean.tolist())
"""


def test_torchvisions_file_is_downloaded_once_and_checked(tmp_path, monkeypatch, serve):
    mean = python(SAVE_TORCH, tmp_path / "saved")
    content = (tmp_path / "saved").read_bytes()
    name = f"net-{sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(sources.TORCHVISION_URLS, "resnet50", f"{serve(content)}/{name}")
    first = sources.resolve("imagenet-torchvision", "resnet50", tmp_path / "out")
    arrays, metadata = loaded(tmp_path / "out")
    np.testing.assert_array_equal(arrays["conv3_block1_3_bn/moving_mean"], np.float32(mean))
    assert (metadata["variant"], metadata["width"], metadata["preprocessing"]) == ("v1.5", "0.25", "torch")
    monkeypatch.setitem(sources.TORCHVISION_URLS, "resnet50", f"http://127.0.0.1:9/{name}")
    assert sources.resolve("imagenet-torchvision", "resnet50", tmp_path / "out2") == first


@pytest.mark.parametrize("share", [0.5, 1])
def test_a_download_that_breaks_off_or_is_another_file_leaves_nothing(tmp_path, monkeypatch, serve, share):
    monkeypatch.setitem(sources.TORCHVISION_URLS, "vgg16", f"{serve(bytes(100_000), share)}/net-00000000.pth")
    with pytest.raises(InputError, match="the download failed: ") as error:
        sources.resolve("imagenet-torchvision", "vgg16", tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "torch" / "hub" / "checkpoints").iterdir())


def evil(path):
    path.write_bytes(b"\x80\x02cposix\nmkdir\nX\x04\x00\x00\x00evil\x85R.")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file; it can be imagenet, imagenet-torchvision, pretext, random"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text("no weights"), "can't be read"),
        (lambda path: path.write_bytes(b"PK\x03\x04 half an archive"), "may be truncated"),
        (lambda path: write_legacy(path, arrays_of("vgg16")), "is a VGG16 and not a ResNet50"),
        (lambda path: write_legacy(path, {"a/bias": np.ones(3)}), "neither a ResNet50 nor a VGG16"),
        (evil, "would run posix.mkdir"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(tmp_path, monkeypatch, make, message):
    path = tmp_path / "weights.h5"
    make(path)
    (tmp_path / "out").write_text("kept")
    with pytest.raises(InputError, match=re.escape(message)) as error:
        sources.resolve(str(path), "resnet50", tmp_path / "out")
    assert str(error.value).startswith(f"--weights {path}")
    assert "\n" not in str(error.value)
    assert (tmp_path / "out").read_text() == "kept"
    assert not (ROOT / "evil").exists()


def test_missing_and_misshapen_names_are_listed(tmp_path):
    arrays = arrays_of("resnet50")
    for name in ("conv5_block3_3_bn/beta", "conv2_block1_1_conv/bias"):
        arrays[f"{name}_"] = arrays.pop(name)
    arrays["conv2_block1_1_conv/kernel"] = np.ones((1, 1, 16, 8))
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors")
    with pytest.raises(InputError) as error:
        sources.resolve(str(tmp_path / "a.safetensors"), "resnet50", tmp_path / "out")
    assert str(error.value).endswith(
        "2 missing: conv2_block1_1_conv/bias, conv5_block3_3_bn/beta; "
        "1 misshapen: conv2_block1_1_conv/kernel (1, 1, 16, 8) for (1, 1, 16, 16)"
    )


def test_a_destination_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match=re.escape("can't write")):
        sources.resolve("random", "vgg16", tmp_path / "nowhere" / "out")


RUN = """
import numpy as np
import safetensors.numpy
from {side}_impl import transfer, weights
x = np.load(folder + "/x.npy")
for backbone, variant in (("resnet50", "v1"), ("resnet50", "v1.5"), ("vgg16", "v1")):
    name = folder + "/" + backbone + variant
    model = transfer.build(backbone, variant, 0.25)
    weights.from_arrays(model, safetensors.numpy.load_file(name + str(step)))
    safetensors.numpy.save_file(weights.to_arrays(model), name + str(step + 1))
    {call}
    np.save(name + str(step), y)
"""
KERAS = RUN.format(side="keras", call="y = model(x, training=False).numpy()")
TORCH = RUN.format(
    side="torch",
    call="y = model.eval()(torch.from_numpy(x).permute(0, 3, 1, 2)).detach().numpy()",
).replace("import numpy", "import torch\nimport numpy", 1)


def transfer_arrays(backbone, variant):
    """Draw arrays that keep a deep network's values, and so its output, in a range where rounding shows."""
    generator = np.random.default_rng(3)
    arrays = random_arrays(backbone, variant, 0.25, 1)
    for name, array in arrays.items():
        if not name.endswith("/kernel"):
            low, high = (0.1, 0.3) if name.endswith("_3_bn/gamma") else (0.7, 1.3)
            values = generator.uniform(low, high, array.shape)
            shifts = name.endswith(("/bias", "/beta", "/moving_mean"))
            arrays[name] = (values - 1 if shifts else values).astype("float32")
    channels = 512 if backbone == "resnet50" else 128
    for layer, shape in {"dense_1": (channels, 64), "dense_2": (64, 64), "output": (64, 1)}.items():
        arrays[f"head_{layer}/kernel"] = generator.normal(0, shape[0] ** -0.5, shape).astype("float32")
        arrays[f"head_{layer}/bias"] = generator.normal(0, 0.1, shape[1:]).astype("float32")
    return arrays


@pytest.fixture(scope="module")
def round_trip(process, tmp_path_factory):
    """Take each network's arrays to Keras, on to PyTorch and back."""
    folder = tmp_path_factory.mktemp("round_trip")
    for backbone, variant in NETWORKS:
        safetensors.numpy.save_file(transfer_arrays(backbone, variant), folder / f"{backbone}{variant}0")
    np.save(folder / "x.npy", np.random.default_rng(4).normal(size=(4, 64, 64, 3)).astype("float32"))
    for step, (framework, code) in enumerate([("keras", KERAS), ("torch", TORCH), ("keras", KERAS)]):
        process(framework).call(far_functions.execute, code, {"folder": str(folder), "step": step})
    return folder


@pytest.mark.parametrize(("backbone", "variant"), NETWORKS)
def test_keras_to_pytorch_and_back(round_trip, backbone, variant):
    name = f"{backbone}{variant}"
    contents = [(round_trip / f"{name}{step}").read_bytes() for step in range(4)]
    assert contents == [contents[0]] * 4
    keras, torch, again = (np.load(round_trip / f"{name}{step}.npy") for step in range(3))
    np.testing.assert_array_equal(keras, again)
    assert keras.std() > 1e-3
    np.testing.assert_allclose(torch, keras, rtol=0, atol=2e-6 * np.abs(keras).max())
