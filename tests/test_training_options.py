"""`Training` as a parameter of the classifier: the conventions of scikit-learn."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture

# A value of each option that is not its default.
OTHERS = {
    "lr_schedule": "cosine",
    "averaging_decay": 0.5,
    "adversarial_every": 3,
    "precision": "bfloat16",
    "record_steps": False,
    "max_time": 60.0,
    "tol": 0.01,
    "checkpoint_dir": "runs",
    "checkpoint_every": 2,
    "resume": True,
}


def test_options_are_keywords_with_defaults():
    parameters = inspect.signature(Training).parameters
    assert set(parameters) == set(OTHERS) == set(Training().get_params())
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    defaults = {name: p.default for name, p in parameters.items()}
    assert Training().get_params() == defaults
    assert all(OTHERS[name] != default for name, default in defaults.items())
    with pytest.raises(TypeError, match="unexpected keyword argument 'decay'"):
        Training(decay=0.5)


options = st.fixed_dictionaries({}, optional={k: st.just(v) for k, v in OTHERS.items()})


@given(options)
@settings(max_examples=30)
def test_clone_pickle_and_repr_keep_the_options(values):
    classifier = SGANClassifier(training=Training(**values))
    text = f"Training({', '.join(f'{name}={values[name]!r}' for name in sorted(values))})"
    copies = clone(classifier), copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))
    for found in (classifier, *copies):
        params = found.get_params()
        assert {f"training__{name}": value for name, value in values.items()}.items() <= set(
            params.items()
        )
        assert " ".join(repr(found.training).split()) == text
        assert "training=Training(" in "".join(repr(found).split())
    assert copies[0].training is not classifier.training
    html = estimator_html_repr(classifier)
    assert "Training" in html


@given(options)
@settings(max_examples=30)
def test_options_are_set_by_nested_names(values):
    for training in (Training(), None):
        classifier = SGANClassifier(training=training)
        classifier.set_params(**{f"training__{name}": value for name, value in values.items()})
        if values:
            assert classifier.training.get_params() == Training(**values).get_params()


def test_nested_names_change_the_given_instance():
    given = Training(tol=0.1)
    classifier = SGANClassifier().set_params(training=given, training__precision="float32")
    assert classifier.training is given
    assert (given.tol, given.precision) == (0.1, "float32")
    assert SGANClassifier().set_params(verbose=1).training is None
    classifier = SGANClassifier(training=given).set_params(training=None, training__tol=0.2)
    assert (classifier.training.tol, given.tol) == (0.2, 0.1)


def test_grid_of_a_classifier_without_options(data, labels):
    classifier = SGANClassifier(
        MLPArchitecture((8,), (8,)), max_epochs=1, random_state=0, unlabeled_value=None
    )
    grid = {"training__averaging_decay": [0.0, 0.9]}
    search = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(data[0], labels)
    assert search.best_estimator_.training.averaging_decay in grid["training__averaging_decay"]
    assert classifier.training is None


def test_unknown_options_are_named():
    with pytest.raises(ValueError, match="Invalid parameter 'decay' for estimator Training"):
        SGANClassifier(training=Training()).set_params(training__decay=0.5)
    for former in (*OTHERS, "compile"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{former}'"):
            SGANClassifier(**{former: OTHERS.get(former)})


def test_unknown_options_in_a_grid_are_named(make_classifier, data, labels):
    grid = {"training__decay": [0.5]}
    classifier = make_classifier(unlabeled_value=None)
    search = GridSearchCV(classifier, grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="Invalid parameter 'decay' for estimator Training"):
        search.fit(data[0], labels)


def test_fit_leaves_the_options_as_they_are(make_classifier, data):
    training = Training()
    classifier = make_classifier(training=training).fit(*data)
    assert classifier.training is training
    assert vars(training) == vars(Training())
    assert classifier.net_.averaging_decay == 0.999


def test_none_stands_for_the_default_options(make_classifier, data):
    X, y = data
    probabilities = [
        make_classifier(training=training).fit(X, y).predict_proba(X)
        for training in (None, Training(), Training(lr_schedule="cosine"))
    ]
    np.testing.assert_array_equal(probabilities[0], probabilities[1])
    assert not np.array_equal(probabilities[0], probabilities[2])


def test_none_and_default_options_have_the_same_run(make_classifier, data, tmp_path):
    first = make_classifier(training__checkpoint_dir=tmp_path).fit(*data)
    again = make_classifier(training__checkpoint_dir=tmp_path, training__resume=True).fit(*data)
    assert again.net_.n_epochs_resumed_ == first.n_iter_


def no_training(passed):
    return 0.0


def test_grid_over_an_option(make_learner, data, labels):
    pipeline = make_pipeline(StandardScaler(), make_learner(max_epochs=15, unlabeled_value=None))
    grid = {"sganclassifier__training__lr_schedule": [no_training, "linear"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(data[0], labels)
    untrained, trained = search.cv_results_["mean_test_score"]
    assert untrained < trained
    assert search.best_estimator_[-1].training.lr_schedule == "linear"
    assert pipeline[-1].training.lr_schedule == "auto"


def test_grid_over_instances_of_training(make_learner, data, labels):
    choices = [None, Training(averaging_decay=0.5)]
    search = GridSearchCV(make_learner(unlabeled_value=None), {"training": choices}, cv=2).fit(
        data[0], labels
    )
    decays = {None: 0.999, choices[1]: 0.5}
    assert search.best_estimator_.net_.averaging_decay == decays[search.best_params_["training"]]


def test_options_may_be_changed_between_fits(make_classifier, data):
    X, y = data
    classifier = make_classifier(warm_start=True).fit(X, y)
    classifier.set_params(training__averaging_decay=0.25, training__adversarial_every=2).fit(X, y)
    assert classifier.net_.averaging_decay == 0.25
    assert classifier.net_.adversarial_every == 2
    with pytest.raises(ValueError, match="'averaging_decay' parameter of Training"):
        classifier.set_params(training__averaging_decay=2).fit(X, y)
    assert classifier.net_.averaging_decay == 0.25


def test_schedule_that_raises_an_error_is_named(make_classifier, data):
    with pytest.raises(ValueError, match=r"parameter of Training .*gave 'ZeroDivisionError"):
        make_classifier(training__lr_schedule=lambda passed: 1 / passed).fit(*data)
