"""scikit-learn's checks of estimators."""

from inspect import signature

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sgan_sklearn import SGANClassifier
from sgan_sklearn.architectures import MLPArchitecture


def small_classifier(**params):
    return SGANClassifier(
        architecture=MLPArchitecture((32,), (32,)),
        max_epochs=15,
        batch_size=20,
        device="cpu",
        **params,
    )


# Names of the check in different versions of scikit-learn.
WEIGHT_CHECKS = (
    "check_sample_weight_equivalence",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def expected_failures(estimator):
    failures = dict.fromkeys(
        WEIGHT_CHECKS, "rows are drawn at random, so that repeated rows give another model"
    )
    if estimator.unlabeled_value is not None:
        reason = "feeds -1 as a class, which here marks unlabeled rows"
        failures["check_classifiers_classes"] = reason
    return failures


# scikit-learn before 1.8 has no xfail_strict; there, that of pyproject.toml does the same.
has_strict = "xfail_strict" in signature(parametrize_with_checks).parameters
checks = parametrize_with_checks(
    [small_classifier(), small_classifier(unlabeled_value=None)],
    expected_failed_checks=expected_failures,
    **({"xfail_strict": True} if has_strict else {}),
)
# A list, since scikit-learn 1.6 makes a generator, of which pytest warns.
arguments, cases = checks.mark.args


# Some checks use the classes -1 and 1, most label every row: this package warns about both.
@pytest.mark.filterwarnings("ignore:y holds no unlabeled row:UserWarning")
@pytest.mark.filterwarnings("ignore:The only class in y is 1:UserWarning")
@pytest.mark.parametrize(arguments, list(cases), **checks.mark.kwargs)
def test_scikit_learn_check(estimator, check):
    check(estimator)
