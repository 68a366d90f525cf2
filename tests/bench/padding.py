"""Padding of batches on realistic lengths: speech like MuST-C's, and sentence pairs."""

import time

import numpy as np

from espnet_ext.data.batches import make_batches, padding_share


def durations(count: int, seed: int = 0) -> np.ndarray:
    """Frames of utterances: log-normal, median 4.8 s, mean 6.4 s, as in MuST-C, at most 30 s."""
    random = np.random.default_rng(seed)
    return np.clip(random.lognormal(np.log(480), 0.75, count), 30, 3000).astype(np.int32)


def text_pairs(count: int, seed: int = 0) -> np.ndarray:
    """Tokens of sentence pairs: log-normal, mean 29, the sides of a pair differing by a fifth or so."""
    random = np.random.default_rng(seed)
    source = np.clip(random.lognormal(np.log(23), 0.7, count), 1, 250)
    return np.stack([source, np.maximum(source * random.lognormal(0.05, 0.2, count), 1)], axis=1).astype(np.int32)


def main() -> None:
    speech = durations(230_000)
    random = np.random.default_rng(1)
    rate = random.lognormal(0, 0.2, (len(speech), 1)) * random.lognormal(0, 0.12, (len(speech), 2))
    tokens = np.maximum(speech[:, None] / (16, 15) * rate, 1)  # speakers differ in speed, languages in length
    print("| examples | batch_bins | batches | padding, first part | padding of each text | seconds to make |")
    print("|---|---|---|---|---|---|")
    for name, lengths, all_bins in [
        ("230,000 utterances with two texts", np.column_stack([speech, tokens]).astype(np.int32), (9600, 24000, 40000)),
        ("5,000,000 sentence pairs", text_pairs(5_000_000), (4000, 40000)),
    ]:
        for bins in all_bins:
            start = time.perf_counter()
            batches = make_batches(lengths, batch_bins=bins, epoch=2)
            seconds = time.perf_counter() - start
            shares = [f"{padding_share(batches, column):.1%}" for column in lengths.T]
            print(f"| {name} | {bins} | {len(batches)} | {shares[0]} | {', '.join(shares[1:])} | {seconds:.1f} |")
    print("\nRepeat with: python -m tests.bench.padding")


if __name__ == "__main__":
    main()
