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
# # The gap in ten minutes
#
# A pretrained ResNet50 gets a new head and trains on photographs unlike those it knows. `fit` reports a loss;
# `evaluate`, on the very same images, reports another. This page makes such a run and reads it figure by figure. To
# be quick, it is smaller than the default one (`compare run --backbone resnet50`): 120 images, one framework, two BN
# policies.

# %%
import os
import tempfile

os.chdir(tempfile.mkdtemp())  # a run directory of its own

# %% language="bash"
# compare run --backbone resnet50 --framework keras --policy fine-tune --policy frozen \
#     --weights pretext --images 120 --image-size 64 --epochs 8 --out gap 2> progress.txt
# tail -n 2 progress.txt

# %% [markdown]
# A row is a *BN policy*: what trains, and which statistics BN uses. `fine-tune` trains everything, with the batch's
# statistics in training and the moving ones in evaluation, as both frameworks do by default. `frozen` trains the
# head and has BN use its moving statistics throughout.
#
# ## fit and evaluate, epoch by epoch
#
# The same samples, the same order. Healthy training has `evaluate` a little *below* `fit`, since dropout is off.

# %%
import csv

with open("gap/history.csv") as file:
    for row in csv.DictReader(file):
        print(
            f"{row['policy']:10} epoch {row['epoch']}: fit {float(row['fit_loss']):.2f}, "
            f"evaluate {float(row['evaluate_loss']):.2f}"
        )

# %% [markdown]
# ## What the gap is made of
#
# The gap is split into terms that add up to it. Each is measured by changing one thing at a time on the way from `fit`
# to `evaluate`, on the epoch's own samples:
#
# - **weights moved**: fit's figure is an average over an epoch of changing weights. Harmless.
# - **dropout**: off in evaluation. Harmless.
# - **batch noise**: from each batch's own statistics to the mean of all batches', which is what a moving average that
#   has arrived holds.
# - **stale statistics**: from there to the moving ones that `evaluate` normalises with, and that haven't arrived.

# %%
with open("gap/gap.csv") as file:
    for row in csv.DictReader(file):
        if row["metric"] == "loss":
            print(row["policy"], "epoch", row["epoch"], row["term"], f"{float(row['value']):+.3f}")

# %% [markdown]
# ## The answer
#
# `compare report` says it in a sentence, names the cause, and gives the lines to paste. It makes the same page that
# the run left in `gap/report.html`, without importing a framework.

# %% language="bash"
# compare report gap

# %% [markdown]
# ## What to do
#
# Four ways out are known: freeze BN into inference mode (`frozen`), make BN trainable and give it enough steps
# (`bn-trainable`), extract the features first (`features`), or use a network without BN (`--backbone vgg16`). The
# default run has them all, in both frameworks.
