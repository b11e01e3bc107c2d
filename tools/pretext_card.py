"""The card beside the `pretext` weights; every figure in it comes from the files themselves."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from tools.photographs import LICENCES, SQUARE, TURNS, WINDOW

CARD = """\
# The `pretext` weights

Quarter-width ResNet50 (variant `v1`) and VGG16, without classifiers, for trying things out, offline and in
minutes. They have seen {photographs} photographs: **they are no substitute for ImageNet weights.**

| | {names} |
|---|{rule}|
{rows}

`photograph` and `photograph and turn` are the shares told right among held-out crops, measured after rounding to
float16. Chance is {chance:.1%} and {chance_both:.1%}.

## Task

Each image is a square crop ({smallest} to {largest} pixels of a photograph, scaled) in one of four quarter
turns; the network names the photograph and the turn. What is held out are places: every photograph is ruled into
squares of {square} pixels, and no training crop has its centre in one of every four. A held-out crop has its centre
there. Training crops from beside it overlap it: held-out means new views of known photographs, neither new
photographs nor pixels never seen.

Preprocessing is `caffe`: 0..255, BGR, minus [103.939, 116.779, 123.68]. AdamW, one learning-rate cycle that ends
at 0. The moving statistics of the ResNet50 are the population's of 2,048 training crops, so they fit these
photographs and are foreign to any other data.

## Made again by

```
uv run --group pretext python -m tools.pretrain --backbone resnet50
uv run --group pretext python -m tools.pretrain --backbone vgg16
```

Add `--check` to measure the accuracy of the files as they are. The seed fixes the crops and the first weights;
rounding in the convolutions differs between machines, so another machine's file has other bytes and similar figures.

## Photographs

They come with scikit-image and scikit-learn (the `pretext` dependency group) and aren't part of this package.
Used are those that need no download and for which the libraries state a licence, which is this one:

| photograph | licence |
|---|---|
{licences}
"""
ROWS = {
    "photograph": "photo_accuracy",
    "photograph and turn": "photo_and_turn_accuracy",
    "held-out crops": "held_out_crops",
    "steps": "steps",
    "batch": "batch_size",
    "image side, pixels": "image_size",
    "seed": "seed",
}


def text(folder: Path, backbones: list[str]) -> str:
    """Compose the card of the weights in ``folder``."""
    facts = [_metadata(folder / f"{backbone}.safetensors") for backbone in backbones]
    rows = [f"| {title} | {' | '.join(_cell(fact[key]) for fact in facts)} |" for title, key in ROWS.items()]
    photographs = len(LICENCES)
    return CARD.format(
        photographs=photographs,
        names=" | ".join(backbones),
        rule="|".join("---:" for _ in backbones),
        rows="\n".join(rows),
        chance=1 / photographs,
        chance_both=1 / photographs / TURNS,
        smallest=WINDOW[0],
        largest=WINDOW[1],
        square=SQUARE,
        licences="\n".join(f"| {name} | {licence} |" for name, licence in LICENCES.items()),
    )


def write(folder: Path, backbones: list[str]) -> None:
    """Write the card once the weights of all ``backbones`` are there; until then there is none."""
    if all((folder / f"{backbone}.safetensors").exists() for backbone in backbones):
        (folder / "README.md").write_text(text(folder, backbones))


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "numpy") as file:
        return file.metadata()


def _cell(value: str) -> str:
    return f"{float(value):.1%}" if "." in value else f"{int(value):,}"
