"""Make the `pretext` weights: a quarter-width backbone that tells photographs and quarter turns apart.

    python -m tools.pretrain --backbone resnet50          trains, writes weights and card, prints the accuracy
    python -m tools.pretrain --backbone resnet50 --check  measures the shipped weights again

The backbone goes to compare/weights/pretext/ (float16, the arrays of `torch_impl.weights`), the classifier that
goes with it to tools/pretext_heads/: it is needed for measuring only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.numpy import load_file, save_file
from torch import nn

from compare.data import preprocess
from tools import pretext_card
from tools.photographs import LICENCES, TURNS, crops, photographs
from torch_impl import statistics
from torch_impl.resnet50 import resnet50
from torch_impl.vgg16 import vgg16
from torch_impl.weights import from_arrays, to_arrays

ROOT = Path(__file__).parent.parent
WIDTH, SIZE, BATCH, SEED = 0.25, 64, 64, 0
STEPS = {"resnet50": 5000, "vgg16": 3000}
RATE = {"resnet50": 4e-3, "vgg16": 1e-3}  # the network without BN diverges at the higher one
HELD_OUT_CROPS = len(LICENCES) * TURNS * 30
STATISTICS_BATCHES = 32


class Pretext(nn.Module):
    """A backbone, global average pooling and one linear layer: a score for every photograph in every turn."""

    def __init__(self, backbone: str):
        super().__init__()
        self.backbone = resnet50("v1", WIDTH) if backbone == "resnet50" else vgg16(WIDTH)
        self.photo_and_turn = nn.Linear(self.backbone.channels, len(LICENCES) * TURNS)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                nn.init.zeros_(module.bias)
        with (
            torch.no_grad()
        ):  # pixels scatter by 64 grey levels; activations, and their variances, fit float16
            next(self.backbone.children()).weight /= 64

    def forward(self, x):
        """Score ``(N, 3, H, W)`` preprocessed images: ``(N, photographs * turns)``."""
        return self.photo_and_turn(self.backbone(x).mean((2, 3)))


def train(backbone: str) -> Pretext:
    """Train from random weights; the learning rate ends at 0."""
    torch.manual_seed(SEED)
    rng, photos = np.random.default_rng(SEED), photographs()
    model = Pretext(backbone).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE[backbone], STEPS[backbone], pct_start=0.1)
    for _ in track(range(STEPS[backbone]), f"pretraining {backbone}"):
        batch = crops(photos, BATCH, SIZE, rng, held_out=False)
        scores = model(_to_tensor(_pixels(batch.images)))
        loss = F.cross_entropy(scores, torch.from_numpy(batch.photos * TURNS + batch.turns))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def rounded(model: Pretext, backbone: str) -> Pretext:
    """Copy the model as float16 can hold it, its moving statistics measured anew with the rounded weights.

    The statistics are the population's of 2,048 training crops rather than an average over the last few
    batches: where they fail on other data, it is because they are foreign, not because they lag.
    """
    copy = _restored(backbone, half(model.backbone), half(model.photo_and_turn))
    if backbone == "resnet50":
        rng, photos = np.random.default_rng(SEED + 2), photographs()
        drawn = [crops(photos, BATCH, SIZE, rng, held_out=False) for _ in range(STATISTICS_BATCHES)]
        statistics.recalibrate(copy, [_pixels(batch.images) for batch in drawn])
        from_arrays(copy.backbone, half(copy.backbone))
    return copy


@torch.no_grad()
def accuracy(model: Pretext, n: int = HELD_OUT_CROPS) -> tuple[float, float]:
    """Share of held-out crops told right: the photograph; the photograph and the turn."""
    model.eval()
    held_out = crops(photographs(), n, SIZE, np.random.default_rng(SEED + 1), held_out=True)
    parts = np.array_split(held_out.images, -(-n // BATCH))
    scores = torch.cat([model(_to_tensor(_pixels(part))) for part in parts]).softmax(1)
    photo = scores.reshape(n, -1, TURNS).sum(2).argmax(1).numpy() == held_out.photos
    both = scores.argmax(1).numpy() == held_out.photos * TURNS + held_out.turns
    return float(photo.mean()), float(both.mean())


def save(model: Pretext, backbone: str) -> None:
    """Write backbone and classifier as float16, the accuracy of what is written, and the card."""
    model = rounded(model, backbone)
    photo, both = accuracy(model)
    facts = {
        "backbone": backbone,
        "variant": "v1",
        "width": str(WIDTH),
        "source": "pretext",
        "preprocessing": "caffe",
        "photographs": str(len(LICENCES)),
        "steps": str(STEPS[backbone]),
        "batch_size": str(BATCH),
        "image_size": str(SIZE),
        "seed": str(SEED),
        "held_out_crops": str(HELD_OUT_CROPS),
        "photo_accuracy": f"{photo:.4f}",
        "photo_and_turn_accuracy": f"{both:.4f}",
    }
    save_file(half(model.backbone), weights_file(backbone), facts)
    save_file(half(model.photo_and_turn), head_file(backbone))
    pretext_card.write(ROOT / "compare" / "weights" / "pretext", sorted(STEPS))


def restore(backbone: str) -> Pretext:
    """Load the shipped weights."""
    return _restored(backbone, load_file(weights_file(backbone)), load_file(head_file(backbone)))


def weights_file(backbone: str) -> Path:
    """Where the shipped backbone is."""
    return ROOT / "compare" / "weights" / "pretext" / f"{backbone}.safetensors"


def head_file(backbone: str) -> Path:
    """Where the classifier for measuring is."""
    return ROOT / "tools" / "pretext_heads" / f"{backbone}.safetensors"


def main() -> None:
    """Train or check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=sorted(STEPS), required=True)
    parser.add_argument("--check", action="store_true", help="measure the shipped weights, train nothing")
    arguments = parser.parse_args()
    if not arguments.check:
        save(train(arguments.backbone), arguments.backbone)
    photo, both = accuracy(restore(arguments.backbone))
    print(f"{arguments.backbone}: photograph {photo:.1%}, photograph and turn {both:.1%}")


def _restored(backbone: str, arrays: dict[str, np.ndarray], head: dict[str, np.ndarray]) -> Pretext:
    model = Pretext(backbone)
    from_arrays(model.backbone, arrays)
    from_arrays(model.photo_and_turn, head)
    return model.to(memory_format=torch.channels_last)


def half(module: nn.Module) -> dict[str, np.ndarray]:
    """Copy a module's arrays in half precision.

    Raises:
        ValueError: a value is too large for it, or none.
    """
    arrays = to_arrays(module)
    for name, array in arrays.items():
        largest = float(np.abs(array).max())
        if not largest <= 65504:  # nor if it is not a number
            raise ValueError(f"{name} reaches {largest:g}; float16 holds at most 65504")
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def _pixels(images: np.ndarray) -> np.ndarray:
    return preprocess(images, "caffe")


def _to_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


if __name__ == "__main__":
    main()
