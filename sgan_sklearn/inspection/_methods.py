"""Methods to compare: classifiers, the rows that each of them is fitted on, and the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier

from sgan_sklearn.inspection._numbers import OnNumbers, columns_of

__all__ = [
    "LABELS_ALONE",
    "Method",
    "are_equal",
    "baselines_for",
    "check_has_probabilities",
    "learns_from_unlabeled",
    "method_of",
    "name_of",
]

# Name of the method that does not learn from the unlabeled rows.
LABELS_ALONE = "labels alone"

# Parameter whose value 0 turns the unlabeled rows off.
WEIGHT = "unsupervised_weight"

# scikit-learn's classifiers that learn from rows whose label is -1.
SEMI_SUPERVISED = (LabelPropagation, LabelSpreading, SelfTrainingClassifier)

SEARCHES = (GridSearchCV, RandomizedSearchCV)


@dataclass(frozen=True)
class Method:
    """A classifier and the rows that it is fitted on.

    Parameters
    ----------
    classifier : classifier
        An unfitted classifier.
    uses_unlabeled : bool
        Whether it is fitted on all rows, rather than on the labeled ones.
    """

    classifier: Any
    uses_unlabeled: bool

    @property
    def labels_alone(self) -> Method:
        """The same classifier without the unlabeled rows."""
        params = self.classifier.get_params()
        off = {name: 0 for name in params if name.split("__")[-1] == WEIGHT}
        if not off:
            return Method(self.classifier, False)
        for name in ("param_grid", "param_distributions"):
            grids = params.get(name) or {}
            keys = {key for grid in ([grids] if isinstance(grids, dict) else grids) for key in grid}
            if any(key.split("__")[-1] == WEIGHT for key in keys):
                raise ValueError(
                    f"The '{name}' of the search must not hold {WEIGHT}, which is 0 on the labels "
                    "alone. Set it in the estimator."
                )
        # Only its scaling depends on the unlabeled rows.
        return Method(clone(self.classifier).set_params(**off), True)


def method_of(classifier: Any, unlabeled_value: Any, caller: str) -> Method:
    """Return a classifier with the rows that it can be fitted on, or raise an error."""
    has_params = hasattr(classifier, "get_params") and not isinstance(classifier, type)
    if not (has_params and is_classifier(classifier)):
        raise TypeError(
            f"{caller} must be a classifier, such as SGANClassifier(). Got {classifier!r}."
        )
    for name, value in classifier.get_params().items():
        is_mark = name.split("__")[-1] == "unlabeled_value"
        if is_mark and not are_equal(value, unlabeled_value):
            raise ValueError(
                f"{caller} must have the value of unlabeled_value that is passed here, "
                f"{unlabeled_value!r}. Got {name}={value!r}."
            )
    if isinstance(_last_step(classifier), SEMI_SUPERVISED) and unlabeled_value not in (-1, None):
        raise ValueError(
            f"{caller} takes -1 for unlabeled rows. Got {name_of(classifier)} with unlabeled_value="
            f"{unlabeled_value!r}: replace it in y, and pass unlabeled_value=-1."
        )
    return Method(classifier, learns_from_unlabeled(classifier))


def check_has_probabilities(classifier: Any, caller: str) -> None:
    """Raise TypeError if a classifier has no predict_proba."""
    if not hasattr(classifier, "predict_proba"):
        raise TypeError(
            f"The 'estimator' parameter of {caller} must have predict_proba. Got "
            f"{name_of(classifier)}: wrap it in CalibratedClassifierCV."
        )


def learns_from_unlabeled(classifier: Any) -> bool:
    """Return whether a classifier, or the last step of a pipeline or search, takes -1 in `y`."""
    last = _last_step(classifier)
    has_mark = "unlabeled_value" in last.get_params(deep=False)
    return isinstance(last, SEMI_SUPERVISED) or has_mark


def baselines_for(classifier: Any, unlabeled_value: Any) -> dict[str, Method]:
    """Return the baselines for the rows of a classifier, with its preprocessing.

    They get numbers without missing values, scaled and with one-hot encoded categories.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    linear = LogisticRegression(max_iter=1000)
    baselines = {
        "random forest": RandomForestClassifier(),
        "label spreading": LabelSpreading(kernel="knn", max_iter=100),
        "self-training": SelfTrainingClassifier(linear),
    }
    return {
        name: Method(
            _in_place_of_last_step(classifier, OnNumbers(baseline, unlabeled_value)),
            learns_from_unlabeled(baseline),
        )
        for name, baseline in baselines.items()
    }


def name_of(classifier: Any) -> str:
    """Return the name of the class of a classifier, or of the last step of a pipeline or search."""
    return type(_last_step(classifier)).__name__


def _last_step(classifier: Any) -> Any:
    while True:
        if isinstance(classifier, Pipeline):
            classifier = classifier[-1]
        elif isinstance(classifier, SEARCHES):
            classifier = classifier.estimator
        else:
            return classifier


def _in_place_of_last_step(classifier: Any, baseline: OnNumbers) -> Any:
    """Return a baseline after the same preprocessing as a classifier."""
    if isinstance(classifier, SEARCHES):
        return _in_place_of_last_step(classifier.estimator, baseline)
    if isinstance(classifier, Pipeline):
        last = _in_place_of_last_step(classifier[-1], baseline)
        return Pipeline([*classifier.steps[:-1], (classifier.steps[-1][0], last)])
    return baseline.set_params(**columns_of(classifier))


def are_equal(mark: Any, other: Any) -> bool:
    """Return whether two values of unlabeled rows are equal, or both missing."""
    return bool(mark == other) or (mark != mark and other != other)
