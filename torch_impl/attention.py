"""PyTorch's multi-head attention written out, so that its parts can be seen and changed one by one."""

import torch.nn.functional as F


def forward(query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v,
            add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None,
            need_weights=True, attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None,
            k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True,
            is_causal=False):  # fmt: skip
    """Compute ``F.multi_head_attention_forward`` operation by operation.

    Source: torch.nn.functional.multi_head_attention_forward, whose arguments these are
    """
    if (
        bias_k is not None
        or bias_v is not None
        or add_zero_attn
        or static_k is not None
        or static_v is not None
    ):
        raise ValueError("attention with bias_k, bias_v, add_zero_attn or static keys is not known here")
    weights = (q_proj_weight, k_proj_weight, v_proj_weight)
    if not use_separate_proj_weight:
        weights = in_proj_weight.chunk(3)
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3)
    sources = (query, key, value)
    q, k, v = (F.linear(x, w, b) for x, w, b in zip(sources, weights, biases, strict=True))
    batched = q.dim() == 3
    q, k, v = (_heads(x, num_heads, batched) for x in (q, k, v))
    q = q * (q.shape[-1] ** -0.5)
    scores = q @ k.transpose(-2, -1)
    mask = _mask(attn_mask, key_padding_mask, scores)
    if mask is not None:
        scores = scores + mask
    shares = F.softmax(scores, dim=-1)
    if dropout_p:
        shares = F.dropout(shares, dropout_p, training)
    mixed = shares @ v
    mixed = mixed.permute(2, 0, 1, 3) if batched else mixed.permute(1, 0, 2)
    output = F.linear(mixed.flatten(-2), out_proj_weight, out_proj_bias)
    if not need_weights:
        return output, None
    return output, (shares.mean(-3) if average_attn_weights else shares)


def _heads(x, count, batched):
    """``(T, N, C)`` or ``(T, C)`` to ``(N, heads, T, C / heads)`` or ``(heads, T, C / heads)``."""
    x = x.unflatten(-1, (count, x.shape[-1] // count))
    return x.permute(1, 2, 0, 3) if batched else x.permute(1, 0, 2)


def _mask(attn_mask, key_padding_mask, scores):
    """Both masks as numbers to be added to the scores."""
    masks = []
    if attn_mask is not None:
        mask = attn_mask
        if mask.dim() == 3 and scores.dim() == 4:
            mask = mask.reshape(scores.shape[0], -1, *mask.shape[1:])
        masks.append(mask)
    if key_padding_mask is not None:
        mask = key_padding_mask
        masks.append(mask[:, None, None, :] if scores.dim() == 4 else mask[None, None, :])
    total = None
    for mask in masks:
        if not mask.is_floating_point():
            mask = scores.new_zeros(mask.shape).masked_fill(mask, float("-inf"))
        total = mask if total is None else total + mask
    return total
