"""Comparison with the labels alone and scores by number of labels, for any classifier."""

import re
import sys
import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_wine, make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneOut, PredefinedSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import LinearSVC

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import (
    Comparison,
    ComparisonDisplay,
    LabelCostDisplay,
    compare_with_labels_alone,
    label_doubts,
)
from sgan_sklearn.inspection._methods import learns_from_unlabeled, method_of
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels

SPREADING = make_pipeline(StandardScaler(), LabelSpreading(kernel="knn", n_neighbors=5))
SELF_TRAINING = make_pipeline(StandardScaler(), SelfTrainingClassifier(LogisticRegression()))
SGAN = SGANClassifier(max_epochs=1, ensemble=None, device="cpu")


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return X, mask_labels(y, per_class=6, random_state=0)


@pytest.fixture(scope="module")
def blobs():
    """Return two long clusters whose two labels per class are of no use without the others."""
    X, y = make_blobs(400, centers=[[0, 0], [0, 4]], cluster_std=0.5, random_state=0)
    X[:, 0] *= 12
    return X, y


def compare(estimator, rows, **params):
    return compare_with_labels_alone(estimator, *rows, random_state=0, verbose=0, **params)


# --- what is compared -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [SGAN, SPREADING, SELF_TRAINING], ids=str)
def test_comparison_of_each_kind_of_classifier(wine, estimator):
    comparison = compare(estimator, wine)
    assert list(comparison.scores)[1:] == [
        "labels alone",
        "random forest",
        "label spreading",
        "self-training",
    ]
    assert comparison.name == type(estimator[-1] if estimator is not SGAN else SGAN).__name__
    assert all(scores.shape == (10,) for scores in comparison.scores.values())
    assert all((seconds > 0).all() for seconds in comparison.seconds.values())
    assert comparison.scores["random forest"].mean() > 0.8
    assert (comparison.n_labeled, comparison.n_unlabeled) == (18, 160)
    assert comparison.test_ratio == pytest.approx(3.6 / 14.4, rel=0.05)
    again = compare(estimator, wine, baselines=None)
    assert len(again.scores) == 2
    for name, scores in again.scores.items():
        np.testing.assert_array_equal(scores, comparison.scores[name])


def test_twins():
    twin = method_of(make_pipeline(StandardScaler(), SGAN), -1, "").labels_alone
    assert twin.uses_unlabeled
    assert twin.classifier[-1].unsupervised_weight == 0
    assert SGAN.unsupervised_weight == 1
    search = GridSearchCV(SGAN, {"max_epochs": [1]})
    assert method_of(search, -1, "").labels_alone.classifier.estimator.unsupervised_weight == 0
    twin = method_of(SPREADING, -1, "").labels_alone
    assert not twin.uses_unlabeled


def test_labels_alone_are_the_score_of_the_labeled_rows(wine):
    X, y = wine
    splits = SemiSupervisedSplit(3)
    comparison = compare(SELF_TRAINING, wine, cv=splits, baselines=None)
    expected = []
    for train, test in splits.split(X, y):
        labeled = train[y[train] >= 0]
        linear = make_pipeline(StandardScaler(), LogisticRegression())
        expected.append(linear.fit(X[labeled], y[labeled]).score(X[test], y[test]))
    np.testing.assert_allclose(comparison.scores["labels alone"], expected)
    assert list(comparison.scores) == ["SelfTrainingClassifier", "labels alone"]


@pytest.mark.parametrize(
    ("classifier", "expected"),
    [
        (SGANClassifier(), True),
        (LabelSpreading(), True),
        (SELF_TRAINING, True),
        (GridSearchCV(SPREADING, {}), True),
        (RandomForestClassifier(), False),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
    ],
    ids=str,
)
def test_classifiers_that_learn_from_unlabeled_rows(classifier, expected):
    assert learns_from_unlabeled(classifier) is expected


def test_baselines_have_the_preprocessing_of_a_pipeline():
    texts = np.array(["red apple", "green apple", "blue sky", "gray sky"] * 6, dtype=object)
    y = np.tile([0, 0, 1, 1], 6)
    y[12:] = -1
    from sklearn.feature_extraction.text import TfidfVectorizer

    pipeline = make_pipeline(
        TfidfVectorizer(), SelfTrainingClassifier(LogisticRegression(), threshold=0.5)
    )
    comparison = compare(pipeline, (texts, y), cv=2)
    assert all(np.isfinite(scores).all() for scores in comparison.scores.values())


def test_baselines_take_frames_with_categories_and_missing_values():
    pd = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    y = np.arange(60) % 2
    frame = pd.DataFrame(
        {
            "color": pd.Categorical(np.where(y == 1, "red", "blue")),
            "size": np.where(rng.uniform(size=60) < 0.2, np.nan, y + rng.normal(size=60)),
        }
    )
    labels = pd.Series(np.where(np.arange(60) < 20, np.where(y == 1, "yes", "no"), "?"))
    sgan = SGANClassifier(max_epochs=2, unlabeled_value="?", device="cpu", ensemble=None)
    comparison = compare(sgan, (frame, labels), unlabeled_value="?", cv=2)
    for name in ("random forest", "label spreading", "self-training"):
        assert comparison.scores[name].mean() > 0.9


def test_baselines_take_images():
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].reshape(-1, 8, 8), mask_labels(y[:200], per_class=4, random_state=0)
    sgan = SGANClassifier("mlp", max_epochs=1, image_shape=(8, 8), device="cpu")
    comparison = compare(sgan, (X, y), cv=2)
    assert comparison.scores["random forest"].mean() > 0.5
    assert comparison.scores["label spreading"].mean() > 0.5


def test_own_baselines(wine):
    bayes = {"bayes": GaussianNB(), "spreading": SPREADING}
    comparison = compare(SELF_TRAINING, wine, baselines=bayes, cv=3)
    assert list(comparison.scores)[2:] == ["bayes", "spreading"]
    assert comparison.scores["bayes"].mean() > 0.6


def test_failing_baseline_has_no_score(wine):
    class Failing(GaussianNB):
        def fit(self, X, y):
            raise RuntimeError("no such thing")

    message = "'bad' failed, .* of the 3 splits: RuntimeError: no such thing"
    with pytest.warns(FitFailedWarning, match=message):
        comparison = compare(SELF_TRAINING, wine, baselines={"bad": Failing()}, cv=3)
    assert np.isnan(comparison.scores["bad"]).all()
    assert np.isnan(comparison.difference("bad").mean)
    assert "bad" in str(comparison)


def test_errors_of_the_classifier_are_raised(wine):
    spreading = LabelSpreading(gamma=-1)
    with pytest.raises(ValueError, match="'gamma' parameter of LabelSpreading"):
        compare(spreading, wine)


# --- the verdict ----------------------------------------------------------------------------------


def made(differences, **params):
    """Return a comparison whose scores have given differences."""
    scores = {"ours": 0.5 + np.array(differences), "labels alone": np.full(len(differences), 0.5)}
    seconds = {name: np.ones(len(differences)) for name in scores}
    fixed = {"n_labeled": 50, "n_unlabeled": 950, "test_ratio": 0.25, "confidence_level": 0.9}
    return Comparison(scores, seconds, "accuracy", **{**fixed, **params})


def test_interval_is_the_corrected_one():
    differences = np.array([0.1, 0.0, 0.05, 0.2, -0.05])
    mean, low, high = made(differences).difference()
    half = stats.t.ppf(0.95, 4) * np.sqrt((1 / 5 + 0.25) * differences.var(ddof=1))
    assert (mean, low, high) == pytest.approx((0.06, 0.06 - half, 0.06 + half))


@pytest.mark.parametrize(
    ("differences", "verdict", "words"),
    [
        ([0.1, 0.12, 0.09, 0.11], "helps", "The 950 unlabeled rows help: the difference in acc"),
        ([-0.1, -0.12, -0.09, -0.11], "harms", "The 950 unlabeled rows harm: the difference"),
        ([0.1, -0.05, 0.1, 0.05], "cannot tell", "Cannot tell with 50 labels whether"),
        ([0.1, -0.1], "cannot tell", "More than 20 times as many labels"),
        ([0.0, 0.0], "cannot tell", "More than 20 times as many labels"),
        ([0.1], "cannot tell", "Pass a cv of several splits."),
    ],
)
def test_verdicts(differences, verdict, words):
    comparison = made(differences)
    assert comparison.verdict == verdict
    assert words in str(comparison)
    assert (comparison.n_more_labels == 0) is (verdict != "cannot tell")


def test_number_of_labels_that_would_tell():
    comparison = made([0.1, -0.05, 0.1, 0.05])
    mean, low, _ = comparison.difference()
    # The true difference is the mean, and the verdict is given in 80 percent of the cases.
    quantile = stats.t.ppf(0.95, 3)
    error = (mean - low) / quantile
    n_labels = 50 + comparison.n_more_labels
    needed = mean / (quantile + stats.norm.ppf(0.8))
    assert error * np.sqrt(50 / n_labels) == pytest.approx(needed, rel=0.01)
    assert f"About {comparison.n_more_labels} more labels would tell" in str(comparison)


def test_equal_differences_have_the_variance_of_rounding():
    mean, low, high = made(4 * [0.06]).difference()
    half = stats.t.ppf(0.95, 3) * np.sqrt((1 / 4 + 0.25) / (12 * 10**2))  # 10 test rows
    assert (mean, low, high) == pytest.approx((0.06, 0.06 - half, 0.06 + half))


def test_failed_baselines_are_last():
    comparison = made([-0.1, -0.2])
    for name, values in (("failed", np.full(2, np.nan)), ("good", np.full(2, 0.9))):
        comparison.scores[name] = values
        comparison.seconds[name] = np.ones(2)
    comparison.scores["labels alone"] = np.full(2, -5.0)
    lines = str(comparison).splitlines()[3:]
    assert [line.split("  ")[0].strip() for line in lines] == [
        "good",
        "ours",
        "labels alone",
        "failed",
    ]
    assert "The score of 'good' is not lower." in str(comparison)
    assert (comparison == made([-0.1, -0.2])) is False


class Misled(ClassifierMixin, BaseEstimator):
    """Classifier that predicts the first class once it has seen unlabeled rows."""

    def __init__(self, unlabeled_value=-1):
        self.unlabeled_value = unlabeled_value

    def fit(self, X, y):
        labeled = y != self.unlabeled_value
        self.bayes_ = GaussianNB().fit(X[labeled], y[labeled])
        self.classes_, self.is_misled_ = self.bayes_.classes_, not labeled.all()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0]) if self.is_misled_ else self.bayes_.predict(X)


def test_unlabeled_rows_that_help_and_harm(blobs):
    X, y = blobs
    few = mask_labels(y, per_class=12, random_state=0)
    spreading = LabelSpreading(kernel="knn", n_neighbors=10)
    assert compare(spreading, (X, few), baselines=None).verdict == "helps"
    assert compare(Misled(), (X, few), baselines=None).verdict == "harms"


def test_table_and_html(wine):
    pytest.importorskip("pandas")
    comparison = compare(SELF_TRAINING, wine, cv=3)
    frame = comparison.frame()
    assert list(frame.columns) == ["score", "deviation", "difference", "low", "high", "seconds"]
    assert frame["score"].is_monotonic_decreasing
    assert frame.loc["SelfTrainingClassifier", ["difference", "low", "high"]].isna().all()
    mean, low, high = comparison.difference("random forest")
    assert tuple(frame.loc["random forest", ["difference", "low", "high"]]) == (mean, low, high)
    html = comparison._repr_html_()
    assert re.search("<p>.*labels alone.*</table>", html, re.DOTALL)
    assert re.findall("<tr><th>(.*?)</th>", html)[1:] == frame.index.tolist()
    assert f"<td>{frame['score'].iloc[0]:.3f}</td>" in html
    escaped = made([0.1, 0.2])
    escaped.scores["<b>"] = escaped.scores["ours"]
    escaped.seconds["<b>"] = escaped.seconds["ours"]
    assert "<b>" not in escaped._repr_html_()


def test_table_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    comparison = made([0.1, 0.2])
    assert "<table>" in comparison._repr_html_()
    with pytest.raises(ImportError, match=r"Comparison\.frame requires pandas"):
        comparison.frame()


def test_progress(wine, capsys):
    compare_with_labels_alone(SELF_TRAINING, *wine, baselines=None, cv=5, random_state=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "2 of 10 fits",
        "4 of 10 fits",
        "6 of 10 fits",
        "8 of 10 fits",
    ]
    assert all(re.fullmatch(r".*, about \d+:\d\d left", line) for line in lines)
    compare(SELF_TRAINING, wine, baselines=None, cv=5)
    assert capsys.readouterr().out == ""


@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_processes_do_not_change_the_scores(wine):
    one, two = (compare(SPREADING, wine, cv=2, n_jobs=n_jobs) for n_jobs in (None, 2))
    for name, scores in one.scores.items():
        np.testing.assert_array_equal(scores, two.scores[name])


# --- invalid input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (RandomForestClassifier(), TypeError, "must learn from unlabeled rows"),
        (SGANClassifier, TypeError, "must be a classifier, such as SGANClassifier"),
        ("forest", TypeError, "must be a classifier"),
        (StandardScaler(), TypeError, "must be a classifier"),
        (SGANClassifier(unlabeled_value="?"), ValueError, "that is passed here, -1. Got unlabeled"),
    ],
    ids=str,
)
def test_invalid_classifiers(wine, estimator, error, message):
    with pytest.raises(error, match=message):
        compare(estimator, wine)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cv": 7}, "asks for 7 folds, but the class 0 has only 6 labeled rows"),
        ({"cv": 1}, "'cv' parameter of SemiSupervisedSplit"),
        ({"cv": "folds"}, "'cv' parameter of SemiSupervisedSplit"),
        ({"baselines": "none"}, "'baselines' parameter of compare_with_labels_alone must be"),
        ({"baselines": {"labels alone": GaussianNB()}}, "must have other names"),
        ({"confidence_level": 1}, "'confidence_level' parameter of compare_with_labels_alone"),
        ({"n_jobs": "all"}, "'n_jobs' parameter of compare_with_labels_alone"),
        ({"scoring": "best"}, "'scoring' parameter of check_scoring"),
        ({"scoring": ["accuracy", "f1"]}, "'scoring' parameter must be the name of one score"),
        ({"unlabeled_value": None}, "'unlabeled_value' parameter"),
    ],
    ids=str,
)
def test_invalid_parameters(wine, params, message):
    with pytest.raises(ValueError, match=message):
        compare(SPREADING, wine, **params)


def test_too_few_labels(wine):
    X, y = wine
    with pytest.raises(ValueError, match="y holds no labeled row"):
        compare(SPREADING, (X, np.full(len(X), -1)))
    one = mask_labels(load_wine().target, per_class=1, random_state=0)
    with pytest.raises(ValueError, match="2 folds, but the class 0 has only 1 labeled row"):
        compare(SPREADING, (X, one))
    with pytest.raises(ValueError, match="y holds no unlabeled row"):
        compare(SPREADING, (X, load_wine().target))
    with pytest.raises(ValueError, match="X has 178 rows, y has 177 values"):
        compare(SPREADING, (X, y[1:]))


def test_two_labels_per_class_have_two_folds(wine):
    two = mask_labels(load_wine().target, per_class=2, random_state=0)
    comparison = compare(SELF_TRAINING, (wine[0], two), baselines=None)
    assert len(comparison.scores["labels alone"]) == 4


# --- plots ----------------------------------------------------------------------------------------


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    yield pyplot
    pyplot.close("all")


def test_comparison_display(wine, plt):
    display = ComparisonDisplay.from_estimator(
        SPREADING, *wine, random_state=0, verbose=0, cv=3, baselines={"bayes": GaussianNB()}
    )
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert [name.split(" (")[0] for name in names] == ["labels alone", "bayes"]
    mean, low, high = display.comparison.difference("bayes")
    interval, point = display.ax_.lines[2:4]
    assert (tuple(interval.get_xdata()), point.get_xdata()[0]) == ((low, high), mean)
    assert "balanced_accuracy of LabelSpreading" in display.ax_.get_xlabel()
    _, ax = plt.subplots()
    assert display.plot(ax=ax).ax_ is ax
    for differences, color in (
        ([0.3, 0.31, 0.32], "tab:green"),
        ([-0.3, -0.31, -0.32], "tab:red"),
        ([-0.1, 0.1], "tab:gray"),
    ):
        drawn = ComparisonDisplay(made(differences)).plot()
        assert drawn.ax_.lines[0].get_color() == color


def test_label_cost_display(wine, plt):
    X, y = wine
    classifiers = {"forest": RandomForestClassifier(10), "self-training": SELF_TRAINING}
    display = LabelCostDisplay.from_estimators(
        classifiers, X, y, n_labels=[12, 3], cv=3, random_state=0, verbose=0
    )
    assert display.n_labels == [3, 12]
    for name in classifiers:
        assert display.scores[name].shape == (2, 3)
        assert display.scores[name][1].mean() > display.scores[name][0].mean()
        np.testing.assert_array_equal(display.lines_[name].get_xdata(), [3, 12])
        np.testing.assert_allclose(
            display.lines_[name].get_ydata(), display.scores[name].mean(axis=1)
        )
    # With all labels of a training, the scores are those of the comparison.
    comparison = compare(SELF_TRAINING, wine, cv=3, baselines=None)
    np.testing.assert_array_equal(
        display.scores["self-training"][1], comparison.scores["SelfTrainingClassifier"]
    )
    assert display.ax_.get_ylabel() == "balanced_accuracy"


def test_numbers_of_labels_are_chosen(wine, plt):
    display = LabelCostDisplay.from_estimators(
        {"bayes": GaussianNB()}, *wine, cv=3, random_state=0, verbose=0, scoring="accuracy"
    )
    assert display.n_labels == [6, 7, 8, 10, 12]
    assert display.score_name == "accuracy"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_labels": [2]}, "from 3, a label for each class, to 12, the labels of the smallest"),
        ({"n_labels": [13]}, "to 12"),
        ({"n_labels": []}, "'n_labels' parameter of LabelCostDisplay.from_estimators"),
        ({"n_labels": [4.5]}, "'n_labels' parameter"),
        ({"n_labels": 12.0}, "'n_labels' parameter"),
        ({"n_labels": None}, "'n_labels' parameter"),
        (
            {"unlabeled_value": None, "estimators": {"spreading": SPREADING}},
            "must not be None for classifiers that learn",
        ),
        ({"estimators": {}}, "must be a dict of names and classifiers"),
        ({"estimators": [GaussianNB()]}, "'estimators' parameter"),
    ],
    ids=str,
)
def test_invalid_label_costs(wine, params, message):
    params = {"estimators": {"bayes": GaussianNB()}, **params}
    with pytest.raises(ValueError, match=message):
        LabelCostDisplay.from_estimators(
            params.pop("estimators"), *wine, cv=3, random_state=0, verbose=0, **params
        )


def test_groups_and_predefined_splits(wine):
    folds = PredefinedSplit(np.arange(18) % 3)
    comparison = compare(SPREADING, wine, cv=folds, baselines=None)
    assert len(comparison.scores["labels alone"]) == 3
    with pytest.raises(ValueError, match="groups"):
        compare(SPREADING, wine, cv=GroupKFold(3), baselines=None)
    groups = np.arange(len(wine[0])) % 7
    by_group = compare(SELF_TRAINING, wine, cv=GroupKFold(3), groups=groups, baselines=None)
    assert len(by_group.scores["labels alone"]) == 3
    other = SemiSupervisedSplit(3, unlabeled_value=99)
    with pytest.raises(ValueError, match="'cv' parameter must have the value of unlabeled_value"):
        compare(SPREADING, wine, cv=other)


def test_labels_of_any_type(wine):
    X, y = wine
    names = np.array(["a", "b", "c", None], dtype=object)[y]
    names[y < 0] = "none"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "none" is also a common mark
        comparison = compare(
            SGANClassifier(max_epochs=1, ensemble=None, device="cpu", unlabeled_value="none"),
            (X, names),
            unlabeled_value="none",
            cv=2,
        )
    assert comparison.scores["random forest"].mean() > 0.8
    codes = compare(SPREADING, wine, cv=2, baselines=None)
    assert codes.n_labeled == comparison.n_labeled


def test_probabilities_of_baselines(wine):
    comparison = compare(SPREADING, wine, cv=3, scoring="neg_log_loss")
    assert all((scores < 0).all() for scores in comparison.scores.values())
    svm = {"svm": LinearSVC()}
    with pytest.warns(FitFailedWarning, match="predict_proba"):
        compare(SPREADING, wine, cv=3, scoring="neg_log_loss", baselines=svm)


@pytest.mark.parametrize(
    ("labels", "mark"),
    [
        (np.array([False, True]), -1),
        (np.array([0, 1], dtype=np.uint8), -1),
        (np.array(["a", "b"]), "unlabeled"),
        (np.array(["a", "b"]), -1),
        (np.array([0.0, 1.0]), np.nan),
    ],
    ids=str,
)
def test_labels_of_any_dtype_are_hidden(plt, labels, mark):
    X, y = make_blobs(60, centers=[[0, 0], [4, 0]], random_state=0)
    sgan = SGANClassifier(max_epochs=1, ensemble=None, device="cpu", unlabeled_value=mark)
    display = LabelCostDisplay.from_estimators(
        {"bayes": GaussianNB(), "sgan": sgan},
        X,
        labels[y],
        n_labels=[10],
        cv=2,
        unlabeled_value=mark,
        random_state=0,
        verbose=0,
    )
    assert display.scores["bayes"].mean() > 0.9
    assert display.scores["sgan"].mean() > 0.6


@pytest.mark.parametrize("mark", ["?", 99, np.nan])
def test_other_marks_are_refused_for_classifiers_that_take_minus_one(wine, mark):
    X, y = wine
    y = np.where(y == -1, np.nan, y) if mark != mark else y  # nan
    with pytest.raises(ValueError, match="Got SelfTrainingClassifier with unlabeled_value"):
        compare(SELF_TRAINING, (X, y), unlabeled_value=mark)


def test_search_over_the_weight_is_refused(wine):
    search = GridSearchCV(SGAN, {"unsupervised_weight": [0.5, 1]}, cv=SemiSupervisedSplit(2))
    with pytest.raises(ValueError, match="'param_grid' of the search must not hold unsupervised_w"):
        compare(search, wine)


def test_missing_scores_are_refused(wine):
    with pytest.raises(ValueError, match="score of 'SelfTrainingClassifier' is nan in 18 of 18"):
        compare(SELF_TRAINING, wine, cv=LeaveOneOut(), scoring=lambda *_: np.nan, baselines=None)


def test_errors_name_the_method(wine):
    two = mask_labels(load_wine().target, per_class=2, random_state=0)
    spreading = make_pipeline(StandardScaler(), LabelSpreading(kernel="knn"))
    with pytest.raises(ValueError, match="n_neighbors") as error:
        compare(spreading, (wine[0], two), baselines=None)
    assert (
        "in the fit of 'labels alone' on 3 rows, of which 3 have a label"
        in error.value.__notes__[0]
    )


def test_pandas_output_of_transformers(wine):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(wine[0]).add_prefix("x")
    columns = ColumnTransformer([("s", StandardScaler(), list(X.columns))])
    pipeline = make_pipeline(SimpleImputer(), columns, SelfTrainingClassifier(LogisticRegression()))
    with config_context(transform_output="pandas"):
        comparison = compare(pipeline, (X, wine[1]), cv=2)
    assert all(np.isfinite(scores).all() for scores in comparison.scores.values())


# --- doubts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [SELF_TRAINING, LogisticRegression(max_iter=5000)], ids=str)
def test_doubts_find_wrong_labels(estimator):
    X, true = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    y = mask_labels(true, per_class=30, random_state=0)
    wrong = np.flatnonzero(y == 0)[:4]
    y[wrong] = 2
    doubts = label_doubts(estimator, X, y, random_state=0, verbose=0)
    np.testing.assert_array_equal(np.isnan(doubts), y < 0)
    assert len(set(np.argsort(-np.nan_to_num(doubts))[:4]) & set(wrong)) >= 3
    assert ((doubts[y >= 0] >= 0) & (doubts[y >= 0] <= 1)).all()


def test_doubts_are_those_of_the_other_folds(wine):
    X, y = wine
    splits = SemiSupervisedSplit(3)
    bayes = GaussianNB()
    doubts = label_doubts(bayes, X, y, cv=splits, verbose=0)
    for train, test in splits.split(X, y):
        labeled = train[y[train] >= 0]
        p = bayes.fit(X[labeled], y[labeled]).predict_proba(X[test])
        rows = np.arange(len(test))
        given = p[rows, y[test]].copy()
        p[rows, y[test]] = 0
        np.testing.assert_allclose(doubts[test], (1 + p.max(axis=1) - given) / 2)


def test_doubts_of_an_unknown_class():
    X, y = np.arange(6.0)[:, None], np.array([0, 0, 1, 1, 2, 2])
    folds = PredefinedSplit([-1, -1, -1, -1, 0, 0])
    doubts = label_doubts(LogisticRegression(), X, y, cv=folds, unlabeled_value=None, verbose=0)
    assert np.isnan(doubts[:4]).all()
    assert (doubts[4:] > 0.7).all()


def test_doubts_without_probabilities():
    """A label that no other one reaches is as doubtful as an equal probability says."""
    X = np.array([0.0, 0.1, 0.2, 0.3, 5.0, 5.1, 5.2, 5.3, 100.0])[:, None]
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    spreading = LabelSpreading(kernel="rbf", gamma=1)
    folds = PredefinedSplit([0, 0, 1, 1, 0, 0, 1, 1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of its division by zero
        doubts = label_doubts(spreading, X, y, cv=folds, unlabeled_value=None, verbose=0)
    assert doubts[-1] == 0.5
    assert (doubts[:-1] < 0.1).all()


def test_doubts_need_probabilities(wine):
    with pytest.raises(TypeError, match="must have predict_proba"):
        label_doubts(LinearSVC(), *wine)
    with pytest.raises(ValueError, match="y holds no labeled row"):
        label_doubts(GaussianNB(), wine[0], np.full(len(wine[0]), -1))
