"""A person's own small network, trained and diagnosed in a framework's process, on the device of the process."""

import numpy as np

from compare.frameworks import device

RATE, EPOCHS, BATCH = 0.05, 3, 16


def arrays():
    """Images far from 0, so that the moving statistics have a long way to go, and their classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 64)
    images = 3 + rng.normal(size=(64, 12, 12, 3)) + labels[:, None, None, None]
    return images.astype(np.float32), labels


def weights():
    """Kernel ``(3, 3, 3, 8)``, and that of the dense layer ``(8, 3)``."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=shape).astype(np.float32) / 4 for shape in ((3, 3, 3, 8), (8, 3))]


def diagnosed(side):
    """What a diagnosis found, and where the model was; ``side`` is ``keras`` or ``torch``."""
    import compare

    model, given = in_keras() if side == "keras" else in_torch()
    found = compare.diagnose(model, **given)
    parameter = model.weights[0].value if side == "keras" else next(model.parameters())
    return {
        "where": str(parameter.device).lower(),
        "causes": [finding.cause for finding in found.findings],
        "terms": {term.term: term.value for term in found.terms},
        "measured": found.measured,
        "restored": found.probes.restored,
        "audit": [(row.role, row.fit, row.evaluate) for row in compare.audit(model).rows],
    }


def in_keras(epochs=EPOCHS):
    """A Keras model, trained, and what else a diagnosis is given."""
    import keras

    kernel, dense = weights()
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(8, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, use_bias=False),
        ]
    )
    model.layers[0].set_weights([kernel])
    model.layers[-1].set_weights([dense])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss)
    model.fit(*arrays(), batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0)
    return model, {"data": arrays(), "batch_size": BATCH}


def in_torch(epochs=EPOCHS):
    """A PyTorch module, trained, and what else a diagnosis is given."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    kernel, dense = map(torch.from_numpy, weights())
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8, 1e-3, momentum=0.01),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3, bias=False),
    )
    model[0].weight.data = kernel.permute(3, 2, 0, 1).contiguous()
    model[-1].weight.data = dense.T.contiguous()
    model.to(device())
    images, labels = arrays()
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    batches = [(images[i : i + BATCH], labels[i : i + BATCH]) for i in range(0, len(labels), BATCH)]
    batches = [tuple(map(torch.from_numpy, batch)) for batch in batches]
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(device())), y.to(device())).backward()
            optimizer.step()
    return model, {"data": batches, "loss": F.cross_entropy}
