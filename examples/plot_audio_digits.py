"""
=====================
Audio with few labels
=====================

This example classifies sounds as images: mel spectrograms are passed to the convolutional networks
for images. Five sounds of each class are labeled. The sounds are synthetic syllables with one or
two vowels, because recorded digits would have to be downloaded.
"""

# %%
# The data
# --------
# Neither Python nor scikit-learn includes recorded speech, so these are synthetic syllables from a
# source-filter model: a voice with a random pitch, two resonances (formants) that move from one
# vowel to another, and noise. Pitch, size of the speaker, speed and start time are random. Real
# speech is much more difficult.
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
    voice = np.diff(np.floor(np.cumsum(pitches) / RATE), prepend=0)  # one pulse per period
    sound = np.zeros(length)
    for first, last in zip(VOWELS[syllable[0]], VOWELS[syllable[-1]], strict=True):
        # Filter sixteen segments, with a constant formant in each of them.
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
# From sounds to images
# ---------------------
# Power spectra of overlapping windows are summed in triangular bands, whose width increases on the
# mel scale, and the logarithm is taken. This gives an image of 16 bands by 16 windows.


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
# Training
# --------
# A three-dimensional array is treated as images, with convolutional networks, pseudo-labels, and
# small random shifts, rotations and scaling. These transformations preserve the class here too: a
# syllable that starts slightly later, or comes from a slightly larger speaker, is the same
# syllable. As flat rows, the same images are a table with 256 columns, for which ``SGANClassifier``
# uses multilayer perceptrons. Both are also trained on the labels only.
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
# Convolutions and random shifts improve the accuracy most. With so few epochs, the unlabeled sounds
# do not improve the convolutional networks. They improve the multilayer perceptrons, whose columns
# are fixed times and frequencies, by seventeen points.
#
# Spectrograms, real and generated
# --------------------------------
# The generated spectrograms are those of the multilayer perceptrons; the generator of the
# convolutional networks, which is trained at every fourth step only, still generates mostly noise.
# They have the length and the low and high frequencies of the syllables, but are blurred. The
# confusion matrix is that of the convolutional networks: most errors confuse "iu" with its vowels
# "i" and "u" or with its reverse.
fig, axes = plt.subplots(1, 2, figsize=(10.5, 5), layout="constrained")
ax = axes[0]
real = [X[y == k][:4] for k in range(len(SYLLABLES))]
made = rows.sample(label=np.repeat(np.arange(len(SYLLABLES)), 4), random_state=0)
made = (made * X.std() + X.mean()).reshape(-1, 4, *X.shape[1:])
# One syllable per line, low frequencies at the bottom of each image, a dark border of one pixel.
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
