"""The eleven metrics of TensorFlow's tutorial on imbalanced data, and those of more than two classes, in Keras.

Source: https://www.tensorflow.org/tutorials/structured_data/imbalanced_data
"""

import keras
from keras import ops


def crossentropy(outputs):
    """Choose the cross-entropy of probabilities ``(N, outputs)``: Keras's own by its name, as ``compile`` takes it.

    DIFFERS: on PyTorch Keras's own of two classes ends the program where a probability isn't a number; on other
    backends, and in `torch_impl`, the loss then isn't one either, which a training watches for.

    DIFFERS: on TensorFlow Keras finds the scores behind a sigmoid or softmax, as `torch_impl` has them. On JAX and on
    PyTorch it takes a probability that is within 1e-7 of 0 or 1 for that: a sample's loss is 16.1 at most there, and
    where it is cut off its gradient is 0.
    """
    if outputs > 1:
        return "categorical_crossentropy"
    return _binary_crossentropy if keras.backend.backend() == "torch" else "binary_crossentropy"


def _binary_crossentropy(y_true, y_pred):
    """Keras's own, and NaN where a probability or a label isn't a number."""
    lost = ops.logical_or(ops.isnan(y_pred), ops.isnan(ops.cast(y_true, y_pred.dtype)))
    labels, p = (ops.where(lost, ops.full_like(array, 0.5), array) for array in (y_true, y_pred))
    losses = keras.losses.binary_crossentropy(labels, p)
    return ops.where(ops.any(lost, -1), ops.full_like(losses, float("nan")), losses)


def metrics(outputs=1):
    """Make a fresh list of the metric objects (they keep state: never share them between models).

    Args:
        outputs: 1 for two classes, else the number of classes.
    """
    if outputs > 1:
        return [
            keras.metrics.CategoricalCrossentropy(name="cross_entropy"),
            _OfClasses(outputs),
            keras.metrics.AUC(multi_label=True, num_labels=outputs, name="auc"),
            keras.metrics.AUC(multi_label=True, num_labels=outputs, name="prc", curve="PR"),
        ]
    own = crossentropy(outputs)
    return [
        keras.metrics.BinaryCrossentropy(name="cross_entropy")
        if isinstance(own, str)
        else keras.metrics.MeanMetricWrapper(own, name="cross_entropy"),
        keras.metrics.MeanSquaredError(name="brier_score"),
        keras.metrics.TruePositives(name="tp"),
        keras.metrics.FalsePositives(name="fp"),
        keras.metrics.TrueNegatives(name="tn"),
        keras.metrics.FalseNegatives(name="fn"),
        keras.metrics.BinaryAccuracy(name="accuracy"),
        keras.metrics.Precision(name="precision"),
        keras.metrics.Recall(name="recall"),
        keras.metrics.AUC(name="auc"),
        keras.metrics.AUC(name="prc", curve="PR"),
    ]


def measure(probabilities, labels):
    """Compute the eleven metrics of two classes, or those of more.

    Args:
        probabilities: ``(N,)`` or ``(N, 1)`` float32 in [0, 1]; of K classes ``(N, K)``.
        labels: the same shape, 0 or 1.

    Returns:
        A dict of floats. Of K classes: ``cross_entropy``, ``brier_score`` (summed over the classes), ``accuracy``,
        ``balanced_accuracy`` (the mean recall), ``macro_precision``, ``macro_f1``, ``auc`` and ``prc`` (means of
        each class against the rest), and by class ``recall_0``, ``precision_0``, ``recall_1`` ...
    """
    results = {}
    outputs = labels.shape[1] if labels.ndim == 2 else 1
    for metric in metrics(outputs):
        metric.update_state(labels, probabilities)
        result = metric.result()
        results |= result if isinstance(result, dict) else {metric.name: result}
    return {name: float(value) for name, value in results.items()}


def right(probabilities, labels):
    """Tell which samples are predicted right: bool ``(N, 1)``; of K classes, where the likeliest counts, ``(N,)``."""
    if labels.shape[-1] == 1:
        return (probabilities > 0.5) == (labels > 0.5)
    return probabilities.argmax(-1) == labels.argmax(-1)


class _OfClasses(keras.metrics.Metric):
    """What follows from the counts of label and likeliest class, for K classes; and the Brier score."""

    def __init__(self, classes):
        super().__init__(name="of_classes")
        self.classes = classes
        self.confusion = self.add_weight(shape=(classes, classes), initializer="zeros", name="confusion")
        self.squares = self.add_weight(shape=(), initializer="zeros", name="squares")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, p = (keras.ops.cast(array, "float32") for array in (y_true, y_pred))
        likeliest = keras.ops.one_hot(keras.ops.argmax(p, -1), self.classes)
        self.confusion.assign_add(keras.ops.matmul(keras.ops.transpose(labels), likeliest))
        self.squares.assign_add(keras.ops.sum(keras.ops.square(p - labels)))

    def result(self):
        hits = keras.ops.diagonal(self.confusion)
        there, chosen = keras.ops.sum(self.confusion, 1), keras.ops.sum(self.confusion, 0)
        total = keras.ops.maximum(keras.ops.sum(there), 1.0)
        recall = hits / keras.ops.maximum(there, 1.0)
        precision = hits / keras.ops.maximum(chosen, 1.0)
        found = {
            "brier_score": self.squares / total,
            "accuracy": keras.ops.sum(hits) / total,
            "balanced_accuracy": keras.ops.mean(recall),
            "macro_precision": keras.ops.mean(precision),
            "macro_f1": keras.ops.mean(2 * hits / keras.ops.maximum(there + chosen, 1.0)),
        }
        for k in range(self.classes):
            found |= {f"recall_{k}": recall[k], f"precision_{k}": precision[k]}
        return found
