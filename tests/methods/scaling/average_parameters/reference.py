"""The published rule again, written as directly as it reads: sort everything, look up one number, compare."""

from __future__ import annotations

import numpy as np


def keep_shares(n, sparsity):
    per_event = 1.0 - (1.0 - sparsity) ** (1.0 / n)
    return [(1.0 - per_event) ** (i + 1) for i in range(n)]


def prune(weights, masks, keep):
    """Return new masks: of the scores |w| * mask of all tensors together, those at the threshold or above stay."""
    scores = [np.abs(w) * m for w, m in zip(weights, masks, strict=True)]
    ranked = np.sort(np.concatenate([s.ravel() for s in scores]))
    threshold = ranked[len(ranked) - int(keep * len(ranked))]
    return [m & (np.abs(w) >= threshold) for w, m in zip(weights, masks, strict=True)]


def prune_fours(weight, keep):
    """Return the mask of one event on one tensor: the smallest weight goes, until enough are gone, but never a third one of four neighbours in a row."""
    columns = weight.shape[1]
    mask = np.ones_like(weight, dtype=bool)
    gone = {}
    to_go = weight.size - int(np.ceil(keep * weight.size))
    for flat in np.argsort(np.abs(weight).ravel()):
        if to_go == 0:
            break
        row, column = divmod(int(flat), columns)
        group = (row, column // 4)
        if gone.get(group, 0) < 2:
            gone[group] = gone.get(group, 0) + 1
            mask[row, column] = False
            to_go -= 1
    return mask
