"""Functions that write fitted estimators to files, and read them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sgan_sklearn._classifier import SGANClassifier
from sgan_sklearn._fitted_state import PARTS
from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn._runtime.threads import limit_threads_after_fork
from sgan_sklearn._storage.estimators import FilePath, expanded, load_estimator, save_estimator
from sgan_sklearn._storage.onnx import write_onnx

__all__ = ["export_onnx", "load", "save"]


@with_plain_settings
def save(estimator: BaseEstimator, path: FilePath) -> None:
    """Write a fitted estimator to one file, without pickle.

    The file holds arrays in the format of safetensors and JSON, with a checksum over all of it. It
    is written as a whole: a file of the same name stays as it is until the new one is complete.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : SGANClassifier, or another estimator of scikit-learn
        Such as a `Pipeline` that ends in an `SGANClassifier`; of a search, save its
        ``best_estimator_``. `callbacks` and the folder of checkpoints are not kept. Of your own
        classes (of objectives, architectures, ...) and of functions, the names and parameters are.
    path : str or path-like
        The file, whose name may end as you like.

    Raises
    ------
    TypeError
        If the estimator holds what only pickle can keep, such as trees of a forest or the modules
        of a `ModuleArchitecture`.
    ValueError
        If what is not an array takes more than 8 MiB, such as a vocabulary of millions of words.
    PermissionError
        If there is such a file that must not be written.

    See Also
    --------
    load : Read such a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sgan_sklearn import SGANClassifier, load, save
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SGANClassifier(unlabeled_value=None, max_epochs=5, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), clf)
    >>> with TemporaryDirectory() as folder:
    ...     save(pipeline.fit(X, y), Path(folder) / "iris.sgan")
    ...     loaded = load(Path(folder) / "iris.sgan")
    >>> bool((loaded.predict_proba(X) == pipeline.predict_proba(X)).all())
    True
    """
    save_estimator(estimator, path, [*PARTS, SGANClassifier])


@with_plain_settings
def load(path: FilePath, custom_objects: Sequence[Any] = ()) -> Any:
    """Read an estimator from a file that `save` has written.

    Nothing in a file is ever executed. It may name classes of this package, the transformers of
    scikit-learn that the user guide lists, and what you pass. Names, types, shapes and ranges are
    checked; a forged file that passes these checks may predict anything or raise errors.

    .. versionadded:: 0.1

    Parameters
    ----------
    path : str or path-like
        The file.
    custom_objects : list of type and function, default=()
        Your own classes, and functions, that the estimator holds. They are known by their
        ``__qualname__``.

    Returns
    -------
    estimator : estimator
        As it was saved, on the CPU where the device that it was fitted on is missing.

    Raises
    ------
    ValueError
        If the file is damaged, is none that `save` has written, was written by a newer version,
        names a class or a function that is not known, or does not pass the checks.
    TypeError
        If `path` is not a path, or `custom_objects` are not classes and functions.

    See Also
    --------
    save : Write such a file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sgan_sklearn import SGANClassifier, load, save
    >>> with TemporaryDirectory() as folder:
    ...     save(SGANClassifier(latent_dim=8), f"{folder}/classifier.sgan")
    ...     load(f"{folder}/classifier.sgan")
    SGANClassifier(latent_dim=8)
    """
    return load_estimator(path, [*PARTS, SGANClassifier], custom_objects)


@with_plain_settings
def export_onnx(classifier: SGANClassifier, path: FilePath) -> None:
    """Write a fitted classifier as an ONNX graph, for programs without Python.

    The input "X" takes rows like those of the training, in their units, shape and dtype (of
    this machine's byte order; float64 for objects). If columns of a frame are categories, dates
    or integers beyond 2**53, there is one input for each column instead, of shape (n_samples, 1)
    and with its name; see the user guide for their types and for missing values. The outputs
    "label" and "probabilities" are those of `predict` and `predict_proba`. The scaling is part of
    the graph. It needs torch 2.6 and the extra ``onnx``.

    .. versionadded:: 0.1

    Parameters
    ----------
    classifier : SGANClassifier
        A fitted classifier.
    path : str or path-like
        The file; an existing one is replaced.

    Raises
    ------
    ValueError
        If the scaling is a transformer that the graph cannot express, if columns hold integers
        of 2**63 or more, or missing values besides integers beyond 2**53, or if `X` or `y` had a
        dtype that no graph has, such as long double.
    TypeError
        If `classifier` is not an `SGANClassifier`.
    ImportError
        If the packages onnx or onnxscript are missing.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sgan_sklearn import SGANClassifier, export_onnx
    >>> classifier = SGANClassifier(unlabeled_value=None, random_state=0)
    >>> classifier = classifier.fit(*load_iris(return_X_y=True))
    >>> export_onnx(classifier, "iris.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("iris.onnx")  # doctest: +SKIP
    >>> label, probabilities = session.run(None, {"X": X})  # doctest: +SKIP
    """
    if not isinstance(classifier, SGANClassifier):
        raise TypeError(
            "export_onnx requires an SGANClassifier. Got an instance of "
            f"{type(classifier).__name__}: of a Pipeline, export the last step, and transform the "
            "rows before."
        )
    check_is_fitted(classifier)
    limit_threads_after_fork()
    write_onnx(
        expanded(path),
        copy.deepcopy(classifier.discriminator_).cpu(),
        classifier.net_.objective.class_logits,
        classifier._space,
        classifier.classes_,
    )
