# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Port your own network, and prove it
#
# You have a network in Keras and wrote its like in PyTorch. Which array belongs to which? Do both compute the same, and
# will both *train* the same? A look at one output in inference mode answers neither. This page ports a small network
# with a mistake in it, and has it found.

# %%
import os
import tempfile
from pathlib import Path

os.chdir(tempfile.mkdtemp())  # a folder of its own for this page's files

# %% [markdown]
# ## The two networks
#
# A file a framework, each with a function that returns the model.

# %%
Path("keras_model.py").write_text("""
import keras
from keras import layers


def build():
    keras.utils.set_random_seed(1)
    return keras.Sequential([
        keras.Input((32, 32, 3)),
        layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv"),
        layers.BatchNormalization(name="bn"),
        layers.ReLU(name="relu"),
        layers.Flatten(name="flatten"),
        layers.Dense(10, name="scores"),
    ])
""")
_ = Path("torch_model.py").write_text('''
from torch import nn


def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8, eps=1e-3, momentum=0.01),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16 * 8, 10),
    )
''')  # fmt: skip

# %% [markdown]
# ## Which array is which
#
# Found from types, shapes and the order of calls, and said why. Nothing is guessed: what can't be decided is listed
# with its candidates.

# %% language="bash"
# compare map keras_model.py:build torch_model.py:build --input 32x32x3

# %% [markdown]
# ## Do they compute and train the same?
#
# Keras's arrays go into a copy of the PyTorch model; then both compute in float64, layer by layer, and take the same
# training steps. The first layer that departs is named, with the cause that was found by mending it on a copy.

# %% language="bash"
# compare parity keras_model.py:build torch_model.py:build --input 32x32x3 --steps 3 || true

# %% [markdown]
# Keras pads a convolution of stride 2 below and to the right, where PyTorch's `padding=1` pads all round. The line that
# it gives mends it:

# %%
text = Path("torch_model.py").read_text()
text = text.replace(
    "nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)",
    "nn.ZeroPad2d((0, 1, 0, 1)),\n        nn.Conv2d(3, 8, 3, stride=2, bias=False)",
)
_ = Path("torch_model.py").write_text(text)  # fmt: skip

# %% language="bash"
# compare parity keras_model.py:build torch_model.py:build --input 32x32x3 --steps 3

# %% [markdown]
# ## Move the weights
#
# Into a file that the PyTorch class loads as its own, with the proof beside it.

# %% language="bash"
# compare port keras_model.py:build moved.pth --into torch_model.py:build
# ls
