"""Adam, as PyTorch computes it and as Keras does.

Source: Kingma and Ba 2014, https://arxiv.org/abs/1412.6980; Keras uses the form at the end of its section 2.
"""

import numpy as np
import torch


def adam(model, learning_rate=1e-3, numerics="native"):
    """Make the optimizer of a model's trainable parameters.

    Args:
        model: the module to train; parameters that need no gradient are left out.
        learning_rate: step size.
        numerics: ``native`` for ``torch.optim.Adam``, ``matched`` for `KerasAdam`.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    return (KerasAdam if numerics == "matched" else torch.optim.Adam)(parameters, lr=learning_rate)


class KerasAdam(torch.optim.Optimizer):
    """Keras's Adam: epsilon is added to the uncorrected root, and is 1e-7.

    DIFFERS: PyTorch divides by ``sqrt(v) / sqrt(1 - beta2**t) + 1e-8``, Keras by ``sqrt(v) + 1e-7`` with the
    correction in the step size. And Keras takes the powers of its betas after rounding them to float32,
    in float64 training too: with the textbook's betas the first step differs by 3e-6.

    Args:
        params: parameters to train.
        lr, betas, eps: step size, decays of the two moments, epsilon.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-7):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step on all parameters that have a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter, group):
        state = self.state[parameter]
        if not state:
            state.update(step=0, m=torch.zeros_like(parameter), v=torch.zeros_like(parameter))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        power1, power2 = (_power(beta, state["step"], parameter.dtype) for beta in group["betas"])
        alpha = group["lr"] * (1 - power2).sqrt() / (1 - power1)
        m, v, gradient = state["m"], state["v"], parameter.grad
        m += (gradient - m) * (1 - beta1)
        v += (gradient.square() - v) * (1 - beta2)
        parameter -= m * alpha / (v.sqrt() + group["eps"])


def _power(beta, step, dtype):
    return torch.tensor(float(np.float32(beta)), dtype=dtype) ** step
