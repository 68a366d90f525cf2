"""Cut a long recording at its pauses, by the energy of the sound."""

from collections.abc import Iterable, Iterator

import numpy as np

FRAME_SECONDS = 0.01
WINDOW_FRAMES = 5  # energies are smoothed over as many
SHARE = 0.25  # silence: less than this share of the way from the quietest to the loudest frames, in dB
SHORTEST_PAUSE = 0.15  # seconds; shorter gaps lie within words
EDGE = 0.1  # of a piece: no cut nearer to its ends, so that cutting goes on
FLOOR_DB = -90.0  # digital silence
WINDOW = 300.0  # seconds of a stream that are looked at together


def energy_db(samples: np.ndarray, rate: int) -> np.ndarray:
    """The smoothed energy of each frame in dB."""
    width = int(rate * FRAME_SECONDS)
    frames_FW = samples[: len(samples) // width * width].reshape(-1, width).astype(np.float64)
    power_F = np.convolve((frames_FW**2).mean(axis=1), np.full(WINDOW_FRAMES, 1 / WINDOW_FRAMES), "same")
    return np.maximum(10 * np.log10(power_F + 1e-12), FLOOR_DB)


def energy_of_features(feats_TF: np.ndarray) -> np.ndarray:
    """The same in dB from log-mel features, up to a constant."""
    power_T = np.exp(feats_TF.astype(np.float64)).sum(axis=1)
    power_T = np.convolve(power_T, np.full(WINDOW_FRAMES, 1 / WINDOW_FRAMES), "same")
    return 10 * np.log10(power_T + 1e-12)


def find_pauses(energy_F: np.ndarray) -> np.ndarray:
    """The pauses as rows (first frame, frame after the last)."""
    low, high = np.percentile(energy_F, [5, 95])
    silent = np.concatenate([[False], energy_F < low + SHARE * (high - low), [False]])
    edges = np.flatnonzero(silent[1:] != silent[:-1]).reshape(-1, 2)
    return edges[edges[:, 1] - edges[:, 0] >= SHORTEST_PAUSE / FRAME_SECONDS]


def cut(samples: np.ndarray, rate: int, longest: float) -> list[tuple[float, float]]:
    """Times in seconds of pieces that together are the recording, none longer than `longest`.

    A recording is halved at its longest pause, and its parts again, until they are short enough.
    Where there is no pause, it is cut at its quietest place.
    """
    seconds = len(samples) / rate
    if seconds <= longest:
        return [(0.0, seconds)]
    frames = cut_frames(energy_db(samples, rate), longest)
    pieces = [(first * FRAME_SECONDS, last * FRAME_SECONDS) for first, last in frames]
    pieces[-1] = (pieces[-1][0], seconds)  # the last samples fill no frame
    return pieces


def cut_frames(energy_F: np.ndarray, longest: float) -> list[tuple[int, int]]:
    """The pieces of `cut` as frames, by the energy of each."""
    pauses = find_pauses(energy_F)
    pieces, todo = [], [(0, len(energy_F))]
    while todo:
        first, last = todo.pop()
        if (last - first) * FRAME_SECONDS <= longest:
            pieces.append((first, last))
            continue
        middle = _cut_place(energy_F, pauses, first, last)
        todo += [(middle, last), (first, middle)]
    return pieces


def cut_stream(blocks: Iterable[np.ndarray], rate: int, longest: float) -> Iterator[tuple[float, np.ndarray]]:
    """Where each piece begins, in seconds, and its samples, of a recording that comes block by block.

    What has come is cut as by `cut` whenever it fills a window; its last piece waits for what follows it.
    """
    window = round(max(WINDOW, 5 * longest) * rate)
    held: list[np.ndarray] = []
    begin, count = 0, 0  # samples before those that are held, and held
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= window:
            samples = np.concatenate(held)
            *pieces, (last, _) = cut(samples, rate, longest)
            for start, end in pieces:
                yield begin / rate + start, samples[round(start * rate) : round(end * rate)].copy()
            rest = round(last * rate)
            held, begin, count = [samples[rest:].copy()], begin + rest, count - rest
    samples = np.concatenate([np.zeros(0, np.float32), *held])
    for start, end in cut(samples, rate, longest):
        yield begin / rate + start, samples[round(start * rate) : round(end * rate)]


def _cut_place(energy_F: np.ndarray, pauses: np.ndarray, first: int, last: int) -> int:
    """The frame to cut at: in the middle of the longest pause, of equal ones that nearest to the middle."""
    edge = max(1, int(EDGE * (last - first)))
    centres = pauses.mean(axis=1)
    inside = pauses[(centres >= first + edge) & (centres < last - edge)]
    if len(inside):
        lengths, off_centre = inside[:, 1] - inside[:, 0], np.abs(inside.mean(axis=1) - (first + last) / 2)
        start, end = inside[np.lexsort((off_centre, -lengths))[0]]
        return int(start + end) // 2
    return first + edge + int(np.argmin(energy_F[first + edge : last - edge]))
