"""The command `compare port`."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from compare.cli.unused import only
from compare.pages.saying import say
from compare.spec import EPSILONS


def port(
    context: Context,
    source: Annotated[
        Path,
        Argument(
            metavar="SOURCE", help="A file of weights; its content tells the format. With --into, a model."
        ),
    ],
    dest: Annotated[
        Path, Argument(metavar="DEST", help="A .keras, .weights.h5, .h5, .pth, .pt or .safetensors to write.")
    ],
    layout: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Whose model the weights are to fit: torchvision, applications, applications-old (names of Keras"
            " 1 and 2), project, or neutral for a .safetensors of named arrays. [default: the original's class"
            " where it can hold them, else project; neutral]",
        ),
    ] = None,
    fold_bias: Annotated[
        bool,
        Option("--fold-bias", help="Put the convolutions' biases into the moving means, for torchvision."),
    ] = False,
    variant: Annotated[
        str | None,
        Option(
            metavar="NAME", help=f"Of SOURCE's ResNet50, where the file can't say: {', '.join(EPSILONS)}."
        ),
    ] = None,
    epsilon: Annotated[
        float | None,
        Option(metavar="X", help="Of SOURCE's batch normalisation, where the file can't say."),
    ] = None,
    output: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Activation of the last dense layer: softmax, sigmoid, ... [default: what SOURCE gives; logits of"
            " a PyTorch class]",
        ),
    ] = None,
    into: Annotated[
        str | None,
        Option(
            metavar="MODEL",
            help="The other framework's class, FILE.py:NAME, that the weights of SOURCE, any model, go into.",
        ),
    ] = None,
    map_file: Annotated[
        Path | None, Option("--map", metavar="FILE", help="With --into: names that overrule what is found.")
    ] = None,
    force: Annotated[bool, Option("--force", help="Replace DEST if it exists.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the certificate, and what happens on stderr.")
    ] = False,
) -> int:
    """Move the weights of a ResNet50 or VGG16 between Keras and PyTorch, and prove the network stayed the same.

    \b
    DEST.certificate.json holds the proof. Exit 0: same function, 1: different, 2: bad input.

    \b
    Examples:
      compare port model.keras model.pth
      compare port resnet50-0676ba61.pth resnet50.keras
      compare port resnet50_weights_tf_dim_ordering_tf_kernels.h5 resnet50.pth --layout torchvision --fold-bias
      compare port vgg16-397923af.pth vgg16.weights.h5
      compare port keras_model.py:build port.safetensors --into torch_model.py:build
    """
    if into is not None:
        only(context, "a port into a class", {"source", "dest", "into", "map_file", "force", "as_json"})
        from compare.cli.pair import port as into_class

        return into_class(source, dest, into, map_file, force, as_json)
    only(
        context,
        "a port without --into",
        {option.name for option in context.command.params} - {"into", "map_file"},
    )
    from compare.port.move import port as move

    proof = move(
        source,
        dest,
        layout=layout,
        fold_bias=fold_bias,
        variant=variant,
        epsilon=epsilon,
        output=output,
        force=force,
        say=partial(print, file=sys.stderr) if as_json else print,
    )
    if as_json:
        say(json.dumps(proof, indent=1))
    return 0 if proof["verdict"] == "same function" else 1
