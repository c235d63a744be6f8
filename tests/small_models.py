"""A small classifier and rows for it."""

from sklearn.datasets import make_blobs

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture


def small_classifier(**params):
    """Return a classifier that is trained within a tenth of a second."""
    small = {
        "architecture": MLPArchitecture((16,), (16,)),
        "max_epochs": 3,
        "batch_size": 20,
        "device": "cpu",
        "random_state": 0,
    }
    return SGANClassifier(**small, training=Training()).set_params(**params)


def three_classes(cluster_std=1.0):
    """Return 60 rows of three classes, without every third label, and all labels."""
    X, labels = make_blobs(60, n_features=4, cluster_std=cluster_std, random_state=0)
    y = labels.copy()
    y[::3] = -1
    return X, y, labels
