"""Generated images of each class, and the Fréchet distance during the training.

Trains the default classifier on CIFAR-10 with 4,000 labels within a time budget, and writes a
picture of generated images for each class beside real ones that are predicted as the class. The
distance is that of the features of the discriminator, see `FrechetDistanceCallback`.

    python benchmarks/photograph_samples.py --data DIR --minutes 60
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from _cells import add_run_options, few_labels, run_cells, table
from _images import load_images

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.callbacks import FrechetDistanceCallback

N_IMAGES = 10
CLASSES = ("airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def measure(key: dict, folder: Path | None, picture: Path) -> dict:
    """Train, draw the picture, and return the distances and the accuracy."""
    torch.set_num_threads(key["threads"])
    images = load_images("cifar10", folder)
    y = few_labels(images.y_train, key["labels"] // 10, seed=key["draw"])
    classifier = SGANClassifier(
        callbacks=[FrechetDistanceCallback()],
        training=Training(max_time=60 * key["minutes"]),
        device="cpu",
        random_state=key["draw"],
    ).fit(images.X_train, y)
    wanted = np.repeat(classifier.classes_, N_IMAGES)
    generated = classifier.sample(label=wanted, random_state=key["draw"])
    rows = images.X_test[:2000]
    predicted = classifier.predict(rows)
    real = np.concatenate([rows[predicted == k][:N_IMAGES] for k in classifier.classes_])
    draw(real, generated, picture)
    return {
        "frechet_distance": [record["frechet_distance"] for record in classifier.history_],
        "steps": classifier.n_steps_,
        "accuracy": float(classifier.score(images.X_test, images.y_test)),
    }


def draw(real: np.ndarray, generated: np.ndarray, path: Path) -> None:
    """Write a picture with a line of real and of generated images for each class."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(11, 5.6), layout="constrained")
    for ax, images, title in zip(axes, (real, generated), ("real", "generated"), strict=True):
        grid = images.reshape(len(CLASSES), N_IMAGES, 32, 32, 3)
        margins = [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)]
        tiles = np.pad(grid, margins, constant_values=255).swapaxes(1, 2)
        tiles = tiles.reshape(len(CLASSES) * 34, N_IMAGES * 34, 3)
        ax.imshow(tiles)
        ax.set(title=title, xticks=[], yticks=np.arange(len(CLASSES)) * 34 + 17)
        ax.set_yticklabels(CLASSES)
        ax.tick_params(length=0)
    fig.savefig(path, dpi=100)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with cifar10.npz (default: OpenML)")
    parser.add_argument("--labels", type=int, default=4_000, help="number of labels")
    parser.add_argument("--minutes", type=int, default=60, help="time budget (default: 60)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: 1)")
    add_run_options(parser, "photograph_samples", jobs=False)
    options = parser.parse_args()
    names = ("labels", "minutes", "threads")
    key = {**{name: getattr(options, name) for name in names}, "draw": 0}
    picture = options.output.with_suffix(".png")
    (cell,) = run_cells(options, [key], lambda key: measure(key, options.data, picture))
    epochs = cell["frechet_distance"]
    rows = [[str(i + 1), f"{value:.3f}"] for i, value in enumerate(epochs)]
    print(f"{cell['steps']} steps, accuracy {100 * cell['accuracy']:.1f} %\n")
    print(table(["epoch", "Fréchet distance"], rows))


if __name__ == "__main__":
    main()
