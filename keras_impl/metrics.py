"""The eleven metrics of TensorFlow's tutorial on imbalanced data, in Keras.

Source: https://www.tensorflow.org/tutorials/structured_data/imbalanced_data
"""

import keras


def metrics():
    """Make a fresh list of the eleven metric objects (they keep state: never share them between models)."""
    return [
        keras.metrics.BinaryCrossentropy(name="cross_entropy"),
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
    """Compute the eleven metrics.

    Args:
        probabilities: ``(N,)`` or ``(N, 1)`` float32 in [0, 1].
        labels: the same shape, 0 or 1.

    Returns:
        A dict of floats.
    """
    results = {}
    for metric in metrics():
        metric.update_state(labels, probabilities)
        results[metric.name] = float(metric.result())
    return results
