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
# # Diagnose your own model: Keras
#
# `fit` reports one loss and `evaluate`, on the same samples, another. One call says why. This page makes such a model
# on purpose: Keras's default momentum of 0.99 needs some 300 steps, and this training makes 64.

# %%
import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

import compare

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(4, 3, (512, 16)).astype("float32")
y = (x[:, 0] + x[:, 1] > 8).astype("int32")
model = keras.Sequential(
    [keras.Input((16,)), layers.Dense(32), layers.BatchNormalization(), layers.ReLU(), layers.Dense(2)]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"])
history = model.fit(x, y, batch_size=64, epochs=8, verbose=0)
print("fit:", history.history["loss"][-1], " evaluate:", model.evaluate(x, y, verbose=0)[0])

# %% [markdown]
# ## The answer
#
# The model is left exactly as it was: weights, optimizer, metrics, random generators.

# %%
diagnosis = compare.diagnose(model, (x, y), reported=history)
print(diagnosis)

# %% [markdown]
# The gap is split into terms that add up to it, and each finding has its evidence and the code to paste:

# %%
for term in diagnosis.terms:
    print(f"{term.term:20} {term.value:+.4f} ± {term.uncertainty:.4f}")
print(diagnosis.findings[0].cure.code)

# %% [markdown]
# In training, the same thing as a callback:

# %%
model.fit(x, y, batch_size=64, epochs=2, verbose=0, callbacks=[compare.keras.Diagnose((x, y), at="last")])
# %% [markdown]
# In a notebook the diagnosis shows itself; `diagnosis.to_html("why.html")` writes the page,
# `diagnosis.raise_if("harmful")` stands in a test.

# %%
diagnosis
