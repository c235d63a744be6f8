"""Spoken digits for the benchmarks, and their log-mel spectrograms."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.fft import dct
from scipy.io import wavfile
from sklearn.preprocessing import StandardScaler, normalize

FILE = "fsdd.npz"
N_TEST = 5  # the first recordings of each speaker and digit are the official test set

# Samples per window, and between the starts of two windows: 32 and 10 ms at 8 kHz.
WINDOW, HOP = 256, 80
LOWEST, HIGHEST = 60, 3900  # Hz
# Added to the power before the logarithm.
QUIET = 1e-6
# Frames are kept from the first to the last whose power exceeds that of the loudest divided by e^4.
DEPTH = 4
BANDS, FRAMES = 24, 24
N_CEPSTRAL = 13


class Recordings(NamedTuple):
    """Spoken digits, with all recordings concatenated."""

    waveform: np.ndarray
    """Samples between -1 and 1."""

    offsets: np.ndarray
    """Recording i is ``waveform[offsets[i] : offsets[i + 1]]``."""

    y: np.ndarray
    speaker: np.ndarray
    is_test: np.ndarray
    """Mask of the official test recordings."""

    rate: int


@cache
def load_recordings(folder: Path | None) -> Recordings:
    """Load the free spoken digit dataset from a folder.

    The folder contains either ``fsdd.npz``, with ``waveform`` (16-bit samples), ``offsets``, ``y``,
    ``speaker``, ``is_test`` and ``sample_rate``, or a file ``digit_speaker_number.wav`` for each
    recording, as in the folder ``recordings`` of the data set's repository.
    """
    if folder is None:
        raise ValueError(
            "The spoken digits are in no fetcher of scikit-learn. Give --data: a folder with "
            f"{FILE}, or the folder 'recordings' of "
            "https://github.com/Jakobovski/free-spoken-digit-dataset."
        )
    if not (folder / FILE).exists():
        return _from_wav(folder)
    with np.load(folder / FILE) as arrays:
        return Recordings(
            arrays["waveform"].astype(np.float32) / 2**15,
            arrays["offsets"],
            arrays["y"].astype(int),
            arrays["speaker"].astype(int),
            arrays["is_test"],
            int(arrays["sample_rate"]),
        )


def _from_wav(folder: Path) -> Recordings:
    paths = sorted(folder.glob("*_*_*.wav"))
    if not paths:
        raise FileNotFoundError(
            f"--data {folder} holds neither {FILE} nor files such as 7_jackson_0.wav."
        )
    digits, speakers, numbers = zip(*(path.stem.split("_") for path in paths), strict=True)
    rates, waves = zip(*map(wavfile.read, paths), strict=True)
    return Recordings(
        np.concatenate(waves).astype(np.float32) / 2**15,
        np.cumsum([0, *map(len, waves)]),
        np.array(digits, dtype=int),
        np.unique(speakers, return_inverse=True)[1],
        np.array(numbers, dtype=int) < N_TEST,
        rates[0],
    )


@cache
def load_spectrograms(folder: Path | None) -> np.ndarray:
    """Return the spectrograms of all recordings, of shape (n, `BANDS`, `FRAMES`)."""
    data = load_recordings(folder)
    return np.stack([spectrogram(data.waveform[i:j], data.rate) for i, j in pairwise(data.offsets)])


def spectrogram(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the log-mel spectrogram of the speech in a recording, minus its mean.

    All recordings are rescaled to the same number of frames: each frame of the result is the mean
    over its part of the time. Subtracting the mean removes the loudness.
    """
    power = mel_power(samples, rate)
    loudness = np.log(power.mean(axis=0) + 1e-9)
    speech = np.flatnonzero(loudness > loudness.max() - DEPTH)
    logs = np.log(power[:, speech[0] : speech[-1] + 1] + QUIET)
    stretched = stretch(logs, FRAMES)
    return (stretched - stretched.mean()).astype(np.float32)


def mel_power(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the power in triangular mel bands of equal width, of shape (bands, windows)."""
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2
    ends = 2595 * np.log10(1 + np.array([LOWEST, HIGHEST]) / 700)
    edges = 700 * (10 ** (np.linspace(*ends, BANDS + 2) / 2595) - 1)
    low, middle, high = (edges[i : BANDS + i, np.newaxis] for i in range(3))
    frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    weights = np.maximum(0, np.minimum(rising, falling))
    return weights / weights.sum(axis=1, keepdims=True) @ power.T


def stretch(rows: np.ndarray, n_columns: int) -> np.ndarray:
    """Return the means over `n_columns` equal parts of the columns."""
    sums = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)
    places = np.linspace(0, rows.shape[1], n_columns + 1)
    at_places = [np.interp(places, np.arange(rows.shape[1] + 1), row) for row in sums]
    return np.diff(at_places, axis=1) / (places[1] - places[0])


def cepstra(spectrograms: np.ndarray) -> np.ndarray:
    """Return the first `N_CEPSTRAL` cosine coefficients of each frame, without the mean."""
    return dct(spectrograms, axis=1, norm="ortho")[:, 1 : N_CEPSTRAL + 1]


def make_features(spectrograms: np.ndarray, is_train: np.ndarray) -> dict[str, np.ndarray]:
    """Return flat rows of all recordings by name, scaled on the training rows, without labels."""
    features = {}
    for name, values in {"log-mel": spectrograms, "MFCC": cepstra(spectrograms)}.items():
        rows = values.reshape(len(values), -1)
        train = rows[is_train]
        features[name] = (rows - train.mean()) / train.std()
        features[f"{name}, standardized"] = StandardScaler().fit(train).transform(rows)
        features[f"{name}, unit length"] = normalize(rows)
    return features
