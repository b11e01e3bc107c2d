"""The eleven metrics of TensorFlow's tutorial on imbalanced data, in PyTorch.

Source: https://www.tensorflow.org/tutorials/structured_data/imbalanced_data
"""

import torch

THRESHOLDS = 200  # Keras approximates both areas under a curve with this many evenly spaced thresholds
EPSILON = 1e-7  # Keras clips probabilities by this much before it takes their logarithm


def measure(probabilities, labels):
    """Compute the eleven metrics.

    Args:
        probabilities: ``(N,)`` or ``(N, 1)`` float32 in [0, 1].
        labels: the same shape, 0 or 1.

    Returns:
        A dict of floats.
    """
    p, positive = torch.as_tensor(probabilities).flatten(), torch.as_tensor(labels).flatten() > 0.5
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
