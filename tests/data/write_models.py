"""Write the models of this format and what they predict; run once for each new format.

With the lowest versions, since older pandas cannot read the dtypes of newer ones:

.venv-oldest/bin/python tests/data/write_models.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from sgan_sklearn import SGANClassifier, save
from sgan_sklearn._storage.files import FORMAT
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture

FOLDER = Path(__file__).parent


def inputs(name):
    """Return the rows of a model, and their labels."""
    rng = np.random.RandomState(0)
    y = np.arange(30) % 3 - 1
    match name:
        case "array":
            return rng.randn(30, 3), np.where(y < 0, -1, y)
        case "images":
            return rng.randint(0, 256, (30, 8, 8)).astype(np.uint8), y
        case "frame":
            frame = pd.DataFrame({"number": rng.randn(30), "whole": rng.randint(9, size=30)})
            frame["level"] = rng.choice(["low", "high"], 30)
            frame["kind"] = pd.Categorical(rng.choice(["u", "v", "w"], 30))
            frame.loc[::7, ["number", "kind"]] = None
            return frame, np.array(["-1", "no", "yes"], dtype=object)[y + 1]


def main():
    predicted = {}
    for name in ("array", "images", "frame"):
        images = name == "images"
        small = ConvArchitecture(width=1) if images else MLPArchitecture((4,), (4,))
        classifier = SGANClassifier(
            small,
            latent_dim=2,
            max_epochs=2,
            unlabeled_value="-1" if name == "frame" else -1,
            device="cpu",
            random_state=0,
        )
        X, y = inputs(name)
        save(classifier.fit(X, y), FOLDER / f"{name}_format{FORMAT}.sgan")
        predicted[name] = classifier.predict_proba(X[:5]).tolist()
    (FOLDER / f"predicted_format{FORMAT}.json").write_text(json.dumps(predicted) + "\n")


if __name__ == "__main__":
    main()
