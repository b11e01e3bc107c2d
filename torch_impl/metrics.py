"""The eleven metrics of TensorFlow's tutorial on imbalanced data, and those of more than two classes, in PyTorch.

Source: https://www.tensorflow.org/tutorials/structured_data/imbalanced_data
"""

import torch

THRESHOLDS = 200  # Keras approximates both areas under a curve with this many evenly spaced thresholds
EPSILON = 1e-7  # Keras clips probabilities by this much before it takes their logarithm


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
    probabilities, labels = torch.as_tensor(probabilities), torch.as_tensor(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _of_classes(probabilities, labels)
    p, positive = probabilities.flatten(), labels.flatten() > 0.5
    clipped = p.clamp(EPSILON, 1 - EPSILON)
    chosen = p > 0.5
    tp, fp = (chosen & positive).sum().item(), (chosen & ~positive).sum().item()
    tn, fn = (~chosen & ~positive).sum().item(), (~chosen & positive).sum().item()
    return {
        "cross_entropy": -torch.where(positive, clipped.log(), (1 - clipped).log()).double().mean().item(),
        "brier_score": (p - positive.to(p.dtype)).square().double().mean().item(),
        "tp": float(tp),
        "fp": float(fp),
        "tn": float(tn),
        "fn": float(fn),
        "accuracy": (tp + tn) / len(p),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "auc": _area_under_roc(*_counts(p, positive)),
        "prc": _area_under_precision_recall(*_counts(p, positive)),
    }


def right(probabilities, labels):
    """Tell which samples are predicted right: bool ``(N, 1)``; of K classes, where the likeliest counts, ``(N,)``."""
    if labels.shape[-1] == 1:
        return (probabilities > 0.5) == (labels > 0.5)
    return probabilities.argmax(-1) == labels.argmax(-1)


def _of_classes(p, labels):
    """The metrics of ``(N, K)`` probabilities: from the counts of label and likeliest class, and class by class."""
    classes = labels.shape[1]
    clipped = (p / p.sum(1, keepdim=True)).clamp(EPSILON, 1 - EPSILON)
    pairs = labels.argmax(1) * classes + p.argmax(1)
    confusion = torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes).double()
    hits, chosen, there = confusion.diagonal(), confusion.sum(0), confusion.sum(1)
    recall, precision = hits / there.clamp(min=1), hits / chosen.clamp(min=1)
    counts = [_counts(p[:, k], labels[:, k] > 0.5) for k in range(classes)]
    found = {
        "cross_entropy": -(labels * clipped.log()).sum(1).double().mean().item(),
        "brier_score": (p - labels).square().sum(1).double().mean().item(),
        "accuracy": (hits.sum() / confusion.sum()).item(),
        "balanced_accuracy": recall.mean().item(),
        "macro_precision": precision.mean().item(),
        "macro_f1": (2 * hits / (there + chosen).clamp(min=1)).mean().item(),
        "auc": sum(_area_under_roc(*own) for own in counts) / classes,
        "prc": sum(_area_under_precision_recall(*own) for own in counts) / classes,
    }
    for k in range(classes):
        found |= {f"recall_{k}": recall[k].item(), f"precision_{k}": precision[k].item()}
    return found


def _counts(p, positive):
    """True and false positives at every threshold, from the lowest up: two ``(200,)`` float64 tensors."""
    # a value counts above its lower edge; what isn't a number is in the lowest bucket, as in Keras
    bucket = (torch.ceil(p.nan_to_num() * (THRESHOLDS - 1)) - 1).clamp(min=0).long()
    totals = [torch.bincount(bucket[mask], minlength=THRESHOLDS) for mask in (positive, ~positive)]
    tp, fp = (total.flip(0).cumsum(0).flip(0).double() for total in totals)
    return tp, fp


def _area_under_roc(tp, fp):
    """Trapezoids between the points (false positive rate, recall)."""
    recall, rate = tp / tp[0].clamp(min=1), fp / fp[0].clamp(min=1)
    return ((rate[:-1] - rate[1:]) * (recall[:-1] + recall[1:]) / 2).sum().item()


def _area_under_precision_recall(tp, fp):
    """Interpolate counts, not precision, between thresholds (Davis and Goadrich 2006, section 4)."""
    chosen = tp + fp
    d_tp, d_chosen = tp[:-1] - tp[1:], chosen[:-1] - chosen[1:]
    slope = torch.where(d_chosen > 0, d_tp / d_chosen.clamp(min=1), 0)
    intercept = tp[1:] - slope * chosen[1:]
    ratio = torch.where(chosen[1:] > 0, chosen[:-1] / chosen[1:].clamp(min=1), 1)
    return (slope * (d_tp + intercept * ratio.log()) / tp[0].clamp(min=1)).sum().item()


def _ratio(part, whole):
    return part / whole if whole else 0.0
