"""
========================
Sounds with few labels
========================

Sounds as pictures: spectrograms on the mel scale go into the convolutional networks that were made
for images. Five sounds of each class are labeled. What they say is made up, as syllables of two
vowels at most, since no recorded digits can be had without a download.
"""

# %%
# The data
# --------
# No recorded speech comes with Python or scikit-learn, so these are synthetic syllables, made by a
# source and a filter: a buzzing voice with a pitch of its own, two resonances (formants) that glide
# from one vowel to another, and noise. Pitch, size of the speaker, speed and beginning are random.
# Real speech is a good deal harder.
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter
from sklearn.base import clone
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.semi_supervised import LabelSpreading

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import mask_labels

RATE = 8_000  # samples a second
VOWELS = {"a": (750, 1_250), "i": (300, 2_300), "u": (320, 800)}  # formants in hertz
SYLLABLES = ["a", "i", "u", "ai", "ia", "au", "ua", "iu", "ui"]


def speak(syllable, rng, n_samples=4_096):
    """Return half a second of a syllable."""
    speaker, pitch = rng.uniform(0.82, 1.2), rng.uniform(90, 250)
    begin, length = rng.integers(0, 1_400), rng.integers(1_800, 2_600)
    times = np.arange(length) / length
    rate_of_change = rng.uniform(8, 20)
    glide = 1 / (1 + np.exp(-rate_of_change * (times - rng.uniform(0.4, 0.6))))
    pitches = pitch * (1 + rng.uniform(-0.2, 0.2) * times)
    voice = np.diff(np.floor(np.cumsum(pitches) / RATE), prepend=0)  # a pulse a period
    sound = np.zeros(length)
    for first, last in zip(VOWELS[syllable[0]], VOWELS[syllable[-1]], strict=True):
        # A resonance in each of sixteen pieces, in which the formant stands still.
        formants = speaker * (first + (last - first) * glide)
        state, part = np.zeros(2), []
        for piece in np.array_split(np.arange(length), 16):
            angle = 2 * np.pi * formants[piece].mean() / RATE
            radius = np.exp(-np.pi * 90 / RATE)  # a bandwidth of 90 hertz
            poles = [1, -2 * radius * np.cos(angle), radius**2]
            out, state = lfilter([1 - radius], poles, voice[piece], zi=state)
            part.append(out)
        sound += np.concatenate(part)
    sound *= np.sin(np.pi * times) ** 0.5 / sound.std()
    clip = rng.normal(scale=rng.uniform(0.1, 0.4), size=n_samples)
    clip[begin : begin + length] += sound
    return clip


# %%
# From sounds to pictures
# -----------------------
# Power spectra of windows that overlap, summed up in triangular bands whose distance grows as that
# of tones does to the ear (mel), then the logarithm: a picture of 16 bands by 16 windows.


def log_mel(clips, n_bands=16, window=480, step=240):
    frames = np.lib.stride_tricks.sliding_window_view(clips, window, axis=1)[:, ::step]
    power = np.abs(np.fft.rfft(frames * np.hanning(window))) ** 2
    mels = np.linspace(0, 2_595 * np.log10(1 + RATE / 2 / 700), n_bands + 2)
    edges = 700 * (10 ** (mels / 2_595) - 1)
    hertz = np.fft.rfftfreq(window, 1 / RATE)
    low, middle, high = (edges[i : i + n_bands, np.newaxis] for i in range(3))
    bands = np.clip(
        np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0, 1
    )
    return np.log10(bands @ power.swapaxes(1, 2) + 1e-3).astype("float32")


rng = np.random.default_rng(0)
y = rng.integers(len(SYLLABLES), size=900)
X = log_mel(np.array([speak(SYLLABLES[k], rng) for k in y]))
few_labels = mask_labels(y, per_class=5, random_state=0)
hidden = few_labels == -1
print(f"{len(X)} pictures of {X.shape[1]} bands by {X.shape[2]} windows, {(~hidden).sum()} labels")

# %%
# Learning
# --------
# An array of three dimensions counts as images, which get convolutional networks, pseudo-labels,
# and small random shifts, turns and changes of size. What comes a bit later, or from a slightly
# larger speaker, is the same syllable here too. The same pictures as flat rows are a table of 256
# columns to ``SGANClassifier``, for perceptrons. Both also learn from the labels alone.
flat = ((X - X.mean()) / X.std()).reshape(len(X), -1)
images = SGANClassifier(max_epochs=12, random_state=0)
rows = SGANClassifier(max_epochs=15, random_state=0)
methods = {
    "images": (images, X),
    "images, labels alone": (clone(images).set_params(unsupervised_weight=0), X),
    "rows": (rows, flat),
    "rows, labels alone": (clone(rows).set_params(unsupervised_weight=0), flat),
    "LabelSpreading (knn)": (LabelSpreading(kernel="knn", n_neighbors=7), flat),
}
found = {}
print(f"{'':22}accuracy on the hidden labels")
for name, (method, data) in methods.items():
    found[name] = method.fit(data, few_labels).transduction_
    print(f"{name:22}{(found[name] == y)[hidden].mean():8.3f}")

# %%
# What suits pictures counts most here: convolutions, and shifts that leave a syllable what it is.
# To them the unlabeled sounds bring nothing in so short a training. To the perceptrons, whose
# columns are fixed times and tones, they bring fifteen points.
#
# Spectrograms, real and generated
# --------------------------------
# The generated ones are those of the perceptrons; the generator of the convolutional networks,
# which is trained in one step of four only, makes little but noise by then. They have the length
# and the low and high tones of the syllables, but blurred. The confusion matrix is that of the
# convolutional networks: most errors lie between "iu" and its halves "i" and "u" or its reverse.
fig, axes = plt.subplots(1, 2, figsize=(10.5, 5), layout="constrained")
ax = axes[0]
real = [X[y == k][:4] for k in range(len(SYLLABLES))]
made = rows.sample(label=np.repeat(np.arange(len(SYLLABLES)), 4), random_state=0)
made = (made * X.std() + X.mean()).reshape(-1, 4, *X.shape[1:])
# A syllable in each line, low tones at the bottom of each picture, two dark pixels around.
tiles = np.concatenate([real, made], axis=1)[:, :, ::-1]
tiles = np.pad(tiles, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=X.min())
n_lines, n_columns, height, width = tiles.shape
ax.imshow(tiles.swapaxes(1, 2).reshape(n_lines * height, n_columns * width), cmap="magma")
ax.axvline(4 * width - 0.5, color="white", linewidth=2)
ax.set_xticks([2 * width, 6 * width], ["real", "generated"])
ax.set_yticks(np.arange(n_lines) * height + height / 2, SYLLABLES)
ax.tick_params(length=0)
ConfusionMatrixDisplay.from_predictions(
    np.array(SYLLABLES)[y[hidden]],
    np.array(SYLLABLES)[found["images"][hidden]],
    labels=SYLLABLES,
    cmap="Blues",
    colorbar=False,
    ax=axes[1],
)
axes[1].set_title("SGANClassifier on images")
plt.show()
