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
# # Diagnose your own model: PyTorch
#
# Your training loop reports one loss and your evaluation, on the same samples, another. One call says why. This page
# makes such a model on purpose: its running statistics hardly move, because somebody wrote Keras's momentum.

# %%
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import compare

torch.manual_seed(0)
rng = np.random.default_rng(0)
x = torch.from_numpy(rng.normal(4, 3, (512, 16)).astype("float32"))
y = (x[:, 0] + x[:, 1] > 8).long()
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32, momentum=0.001), nn.ReLU(), nn.Linear(32, 2))

# %% [markdown]
# `watch` records what the loop reports and which samples made a batch. It changes nothing.

# %%
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for _ in range(8):
    with compare.torch.watch(model) as seen:
        for inputs, targets in loader:
            loss = F.cross_entropy(model(inputs), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seen(loss, len(targets))

# %% [markdown]
# ## The answer

# %%
diagnosis = compare.diagnose(model, loader, loss=F.cross_entropy, reported=seen)
print(diagnosis)

# %% [markdown]
# The gap is split into terms that add up to it, and each finding has its evidence and the code to paste:

# %%
for term in diagnosis.terms:
    print(f"{term.term:20} {term.value:+.4f} ± {term.uncertainty:.4f}")
print(diagnosis.findings[0].cure.code)

# %% [markdown]
# In a notebook the diagnosis shows itself; `diagnosis.to_html("why.html")` writes the page,
# `diagnosis.raise_if("harmful")` stands in a test.

# %%
diagnosis
