"""Scores of many corpora at once, each from its summed counts: sacreBLEU's definitions over arrays.

R corpora, K counts of one metric, O orders of n-grams.
"""

import numpy as np

CHRF_BETA = 2.0  # recall counts so many times as much as precision


def bleu_scores(totals_RK: np.ndarray) -> np.ndarray:
    """(R,) BLEU, smoothed as `smooth:exp`; counts are [words, reference words, matches by order, n-grams by order]."""
    orders = (totals_RK.shape[1] - 2) // 2
    words_R, reference_R = totals_RK[:, 0], totals_RK[:, 1]
    matches_RO, ngrams_RO = totals_RK[:, 2 : 2 + orders], totals_RK[:, 2 + orders :]
    # The k-th order without a match counts as 2 ** -k of one.
    halved_RO = 0.5 ** np.cumsum(matches_RO == 0, axis=1)
    precision_RO = np.where(matches_RO > 0, matches_RO, halved_RO) / np.maximum(ngrams_RO, 1)
    brevity_R = np.exp(np.minimum(0, 1 - reference_R / np.maximum(words_R, 1)))
    scored_R = matches_RO.any(axis=1) & ngrams_RO.all(axis=1)
    return np.where(scored_R, 100 * brevity_R * np.exp(np.log(precision_RO).mean(axis=1)), 0.0)


def chrf_scores(totals_RK: np.ndarray) -> np.ndarray:
    """(R,) chrF; counts are [n-grams, reference n-grams, matches] of each order."""
    ngrams_RO, reference_RO, matches_RO = totals_RK[:, 0::3], totals_RK[:, 1::3], totals_RK[:, 2::3]
    real_RO = (ngrams_RO > 0) & (reference_RO > 0)
    orders_R = np.maximum(real_RO.sum(axis=1), 1)
    precision_R = (real_RO * matches_RO / np.maximum(ngrams_RO, 1)).sum(axis=1) / orders_R
    recall_R = (real_RO * matches_RO / np.maximum(reference_RO, 1)).sum(axis=1) / orders_R
    weighted_R = CHRF_BETA**2 * precision_R + recall_R
    product_R = (1 + CHRF_BETA**2) * precision_R * recall_R
    return 100 * np.divide(product_R, weighted_R, out=np.zeros_like(product_R), where=weighted_R > 0)


def ter_scores(totals_RK: np.ndarray) -> np.ndarray:
    """(R,) TER; counts are [edits, reference words]."""
    edits_R, words_R = totals_RK.T
    return 100 * np.where(words_R > 0, edits_R / np.maximum(words_R, 1e-9), edits_R > 0)


def error_rates(totals_RK: np.ndarray) -> np.ndarray:
    """(R,) WER or CER; counts are [substitutions, deletions, insertions, reference units]."""
    errors_R, units_R = totals_RK[:, :3].sum(axis=1), totals_RK[:, 3]
    return 100 * errors_R / np.where(units_R > 0, units_R, 1)


SACREBLEU_SCORES = {"bleu": bleu_scores, "chrf": chrf_scores, "ter": ter_scores}
