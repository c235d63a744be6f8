"""Fit, predict, sample, save and load with the installed package, outside of the repository."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits

import sgan_sklearn
from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn.model_selection import mask_labels


def main(expected_version: str | None = None) -> None:
    """Exit with a message if anything fails."""
    place = Path(sgan_sklearn.__file__).resolve()
    if Path(__file__).resolve().parents[1] in place.parents and ".venv" not in place.parts:
        raise SystemExit(f"The package of the repository is imported: {place}")
    if expected_version not in (None, sgan_sklearn.__version__):
        raise SystemExit(f"Version {sgan_sklearn.__version__} is not {expected_version}")
    X, y = load_digits(return_X_y=True)
    few_labels = mask_labels(y, per_class=5, random_state=0)
    classifier = SGANClassifier(max_epochs=10, random_state=0).fit(X, few_labels)
    accuracy = classifier.score(X, y)
    if accuracy < 0.85 or classifier.sample(5).shape != (5, 64):
        raise SystemExit(f"The accuracy is only {accuracy:.3f}, or rows cannot be generated")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "digits.sgan"
        save(classifier, path)
        np.testing.assert_array_equal(load(path).predict(X), classifier.predict(X))
    print(f"sgan_sklearn {sgan_sklearn.__version__} in {place.parent}: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
