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
# # What each framework means by "frozen"
#
# A batch normalisation (BN) layer does four things that freezing could mean: it trains gamma and beta, it normalises
# with some statistics in training, it moves its statistics while it trains, and it normalises with some statistics in
# evaluation. Keras and PyTorch stop different ones of the four. This page looks at one layer, by hand, and then at
# the table that measures every spelling.
#
# ## PyTorch: the gradients stop, and nothing else
#
# This is what `requires_grad_(False)` does:

# %%
import numpy as np
import torch

x = torch.from_numpy(np.random.default_rng(0).normal(5, 2, (32, 3)).astype("float32"))
bn = torch.nn.BatchNorm1d(3)
bn.requires_grad_(False)
bn.train()
print("output's mean:", bn(x).mean(0).numpy().round(2), " (0: the batch's own statistics)")
print("moved to:     ", bn.running_mean.numpy().round(2), " (they were 0)")

# %% [markdown]
# Frozen for good is `.eval()` on the layer itself, and again after each `model.train()`, which wakes it up:

# %%
model = torch.nn.Sequential(bn)
bn.eval()
before = bn.running_mean.clone()
model[0](x)
print("after eval(), moved:", not torch.equal(before, bn.running_mean))
model.train()
model(x)
print("after model.train(), moved:", not torch.equal(before, bn.running_mean))

# %% [markdown]
# ## Keras: all four stop
#
# `trainable = False` stops all four since TensorFlow 2.0. From Keras 2.1.3 to 2.3.1 the same line trained on the
# batch's statistics and left the layer's own as they were: evaluation then normalises with those of another data set,
# and that is the gap that people wrote about. This command says what each spelling does in a release:

# %% language="bash"
# compare semantics --release keras-2.2.4

# %% [markdown]
# ## Any spelling, measured
#
# What does a line do in the version that I have, which gap does it lead to, and what do I write in the other framework?

# %% language="bash"
# compare semantics --explain "requires_grad_(False)"

# %% language="bash"
# compare semantics --explain "layer.trainable = False"

# %% [markdown]
# All spellings with the code that was run for each are on the page
# [What BatchNorm does, measured](../semantics.html).
