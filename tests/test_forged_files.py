"""Files with changed content and a correct checksum."""

import copy
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.utils.fixes import parse_version
from small_models import small_classifier, three_classes

from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn._data.dtypes import column_numpy_dtype, numpy_dtype, pandas_dtype
from sgan_sklearn._storage import files as files_module
from sgan_sklearn._storage.encoding import decode, encode
from sgan_sklearn._storage.files import read_file, replace_file, write_file
from sgan_sklearn._storage.state import check_generator_state
from sgan_sklearn._training.saved_net import check_net_state, net_state
from sgan_sklearn.regularizers import PseudoLabel


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.sgan"


def pairs(tree):
    """Return a dict of the content as a dict of pairs, which can be changed in place."""
    return {key: pair for pair in tree["dict"] for key in [str(pair[0])]}


class Forgery:
    """Content of a saved model, to be changed; `write` writes it with a correct checksum."""

    def __init__(self, model, path):
        save(model, path)
        self.path = path
        self.arrays, self.content = read_file(path)
        self.params, self.fitted = (self.content["estimator"]["object"][1][k] for k in self.PARTS)

    PARTS = ("params", "fitted")

    @property
    def options(self):
        """The parameters of `training`."""
        return self.params["training"]["object"][1]["params"]

    def part(self, *keys):
        """Return the pair [key, value] under keys of nested dicts of the state."""
        pair = [None, self.fitted[keys[0]]]
        for key in keys[1:]:
            pair = pairs(pair[1])[str(key)]
        return pair

    def array_of(self, *keys):
        """Return the name of an array, and its description."""
        (description,) = self.part(*keys)[1].values()
        return description[3], description

    def set_array(self, array, *keys):
        """Replace an array and the shape in the content."""
        name, description = self.array_of(*keys)
        description[0], description[1] = array.dtype.str, list(array.shape)
        description[2] = list(range(array.ndim))
        self.arrays[name] = array.ravel()

    def write(self):
        write_file(self.path, self.arrays, self.content)


def assert_refused(forgery, match="cannot be loaded"):
    forgery.write()
    with pytest.raises(ValueError, match=match):
        load(forgery.path)


@pytest.fixture
def forgery(fitted, path):
    return Forgery(fitted, path)


def test_unchanged_content_is_loaded(forgery, fitted, data):
    forgery.write()
    np.testing.assert_array_equal(
        load(forgery.path).predict_proba(data[0]), fitted.predict_proba(data[0])
    )


# --- arrays that PyTorch and NumPy do not check ---------------------------------------------------


@pytest.mark.parametrize("optimizer", ["optimizer_", "generator_optimizer_"])
@pytest.mark.parametrize("name", ["exp_avg", "exp_avg_sq"])
@pytest.mark.parametrize("shape", [(1,), (), (10_000,), (0,)])
def test_moments_of_another_shape_are_refused(forgery, optimizer, name, shape):
    moments = np.zeros(shape, dtype=np.float32)
    forgery.set_array(moments, "net", "optimizers", optimizer, "state", 0, name)
    assert_refused(forgery, "moments of weight 0")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.update(exp_avg_sq=-np.ones_like(state["exp_avg_sq"])), "negative"),
        (lambda state: state.update(step=np.array(-1, np.float32)), "negative"),
        (lambda state: state.update(step=np.float64(1)), "number of steps"),
        (lambda state: state.update(exp_avg=state["exp_avg"].astype(np.float64)), "moments"),
        (lambda state: state.pop("step"), "not those of Adam"),
        (lambda state: state.update(more=np.float32(1)), "not those of Adam"),
    ],
)
def test_invalid_moments_of_adam_are_refused(fitted, change, match):
    state = copy.deepcopy(net_state(fitted.net_))
    change(state["optimizers"]["optimizer_"]["state"][0])
    with pytest.raises(ValueError, match=match):
        check_net_state(fitted.net_, state)


@pytest.mark.parametrize("place", [-1, 99, "0", 0.5])
def test_moments_without_a_weight_are_refused(fitted, place):
    state = net_state(fitted.net_)
    moments = state["optimizers"]["optimizer_"]["state"]
    moments = {key: moments[key] for key in list(moments)[1:]} | {place: moments[0]}
    state["optimizers"]["optimizer_"]["state"] = moments
    with pytest.raises(ValueError, match=r"weight .* that does not exist"):
        check_net_state(fitted.net_, state)


@pytest.mark.parametrize("value", ["abc", -1.0, float("nan"), float("inf"), None, True])
def test_invalid_learning_rates_are_refused(fitted, value):
    state = net_state(fitted.net_)
    state["optimizers"]["optimizer_"]["lr"] = value
    with pytest.raises(ValueError, match="learning rate"):
        check_net_state(fitted.net_, state)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("network", ["module_", "averaged_generator_"])
def test_non_finite_weights_are_refused(forgery, network, value):
    tree = forgery.part("net", "networks", network)[1]
    name = next(pair[0] for pair in tree["dict"] if pair[0].endswith("bias"))
    array, _ = forgery.array_of("net", "networks", network, name)
    forgery.arrays[array][0] = value
    assert_refused(forgery, "not finite")


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_number_of_classes_must_match_the_outputs(forgery, n):
    forgery.set_array(np.arange(n), "classes")
    assert_refused(forgery)


@pytest.mark.parametrize("classes", [[2, 1, 0], [0, 0, 1]])
def test_invalid_classes_are_refused(forgery, classes):
    forgery.set_array(np.array(classes), "classes")
    assert_refused(forgery, "not sorted class labels")


def test_array_used_twice_is_refused(forgery):
    other = forgery.array_of("classes")[1]
    other[3], _ = forgery.array_of("label_distributions")
    assert_refused(forgery)


# --- random states --------------------------------------------------------------------------------


@pytest.fixture
def random_forgery(make_classifier, data, path):
    return Forgery(make_classifier(random_state=np.random.RandomState(0)).fit(*data), path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pos", 2_000_000_000),
        ("pos", -1_000_000),
        ("pos", 625),
        ("pos", -1),
        ("pos", 1.5),
        ("pos", True),
        ("has_gauss", 2),
        ("gauss", {"float": "nan"}),
        ("gauss", "x"),
        ("bit_generator", "PCG64"),
    ],
)
def test_random_states_out_of_range_are_refused(random_forgery, field, value):
    state = pairs(random_forgery.params["random_state"]["random_state"])
    (pairs(state["state"][1]) if field == "pos" else state)[field][1] = value
    assert_refused(random_forgery)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((623,), np.uint32), ((1,), np.uint32), ((624,), np.int64)]
)
def test_random_states_of_another_length_are_refused(random_forgery, shape, dtype):
    state = pairs(random_forgery.params["random_state"]["random_state"])
    description = pairs(state["state"][1])["key"][1]["array"]
    random_forgery.arrays[description[3]] = np.zeros(shape, dtype)
    description[:3] = [np.dtype(dtype).str, list(shape), [0]]
    assert_refused(random_forgery)


# --- attributes -----------------------------------------------------------------------------------

NAMES = ["__doc_link_template", "_doc_link_template", "__class__", "__dict__", "_repr_html_"]
NAMES += ["transform", "fit", "get_params", "x", "_parameter_constraints", "n_samples_seen_\x00"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", ["a part of scikit-learn", "an objective", "the classifier"])
def test_attributes_that_hide_class_attributes_are_refused(make_classifier, data, path, name, part):
    pipeline = make_pipeline(StandardScaler(), make_classifier()).fit(*data)
    save(pipeline, path)
    arrays, content = read_file(path)
    steps = content["estimator"]["object"][1]["params"]["steps"]
    scaler, classifier = (step["tuple"][1]["object"][1] for step in steps)
    match part:
        case "a part of scikit-learn":
            scaler["fitted"][name] = "<script>alert(1)</script>"
        case "an objective":
            net = pairs(classifier["fitted"]["net"])
            objective = pairs(net["params"][1])["objective"][1]
            objective["object"][1]["fitted"][name] = "<script>alert(1)</script>"
        case "the classifier":
            classifier["params"][name] = "<script>alert(1)</script>"
    write_file(path, arrays, content)
    with pytest.raises(ValueError, match="cannot be loaded"):
        load(path)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("mean_", "x"),
        ("mean_", [1.0, 2.0, 3.0, 4.0]),
        ("mean_", None),
        ("n_features_in_", -1),
        ("n_features_in_", 5),
        ("n_features_in_", 10**12),
        ("scale_", {"slice": [0, 20_000_000, None]}),
    ],
)
def test_attributes_of_another_type_are_refused(make_classifier, data, path, attribute, value):
    pipeline = make_pipeline(StandardScaler(), make_classifier()).fit(*data)
    forgery = Forgery(pipeline, path)
    forgery.params["steps"][0]["tuple"][1]["object"][1]["fitted"][attribute] = value
    if value is None:  # which a scaler without a mean has
        forgery.write()
        assert load(path)[0].mean_ is None
    else:
        assert_refused(forgery)


def test_vocabulary_index_out_of_range_is_refused(path):
    # Its indices become indices of a sparse matrix, which compiled code does not check.
    vectorizer = CountVectorizer().fit(["a red fox", "two blue jays"])
    forgery = Forgery(vectorizer, path)
    forgery.fitted["vocabulary_"]["dict"][0][1] = {"scalar": 10**9}
    assert_refused(forgery)
    forgery.fitted["vocabulary_"]["dict"][0][1] = 10**9
    assert_refused(forgery, "invalid vocabulary_")


def test_tfidf_of_another_vocabulary_is_refused(path):
    vectorizer = TfidfVectorizer().fit(["a red fox", "two blue jays"])
    forgery = Forgery(vectorizer, path)
    del forgery.fitted["vocabulary_"]["dict"][-1]
    assert_refused(forgery)


@pytest.mark.parametrize("n_columns", [2, 20_000])
def test_column_selected_many_times_is_refused(path, n_columns):
    # pandas would need half a minute to select 20,000 columns.
    transformer = ColumnTransformer([("scale", StandardScaler(), [1, 1])])
    forgery = Forgery(transformer.fit(np.eye(3)), path)
    forgery.part("_transformer_to_input_indices", "scale")[1] = [1] * n_columns
    if n_columns == 2:
        forgery.write()
        assert load(path).transform(np.eye(3)).shape == (3, 2)
    else:
        assert_refused(forgery, "invalid _transformer_to_input_indices")


@pytest.mark.parametrize(
    "attribute", ["_n_features_outs", "categories_", "_drop_idx_after_grouping"]
)
def test_inconsistent_sizes_of_sparse_matrices_are_refused(path, attribute):
    encoder = OneHotEncoder(drop="first").fit([["a", 1], ["b", 2], ["c", 1]])
    forgery = Forgery(encoder, path)
    match attribute:
        case "_n_features_outs":
            forgery.fitted[attribute][0] = 1
        case "categories_":
            forgery.fitted[attribute].pop()
        case _:
            forgery.fitted[attribute]["array"][2][0] = 7
    assert_refused(forgery)


PARAMS = [
    (FeatureUnion([("a", StandardScaler()), ("b", StandardScaler())]), "n_jobs", 12),
    (HashingVectorizer(), "input", "filename"),
    (HashingVectorizer(), "n_features", 2**28),
    (HashingVectorizer(), "preprocessor", {"type": "str"}),
    (TfidfVectorizer(), "token_pattern", "(?:a|a)+$"),
    (CountVectorizer(), "ngram_range", {"tuple": [1, 10**6]}),
    (CountVectorizer(), "analyzer", {"ufunc": "positive"}),
    (FunctionTransformer(np.exp), "kw_args", {"dict": [["where", False]]}),
    (FunctionTransformer(np.exp), "func", {"ufunc": "add"}),
    (OrdinalEncoder(), "dtype", {"dtype": "<U1000000"}),
    (ColumnTransformer([]), "verbose_feature_names_out", "{feature_name:>1500000000}"),
    (LogisticRegression(), "max_iter", 10**9),
]


@pytest.mark.parametrize(
    ("estimator", "name", "value"), PARAMS, ids=[f"{type(e).__name__}-{n}" for e, n, _ in PARAMS]
)
def test_dangerous_parameters_are_refused(path, estimator, name, value):
    forgery = Forgery(estimator, path)
    assert load(path).get_params(deep=False).keys() == forgery.params.keys()
    forgery.params[name] = value
    assert_refused(forgery)


@pytest.mark.parametrize("name", ["SVC", "RandomForestClassifier", "AdditiveChi2Sampler"])
def test_unlisted_estimators_of_scikit_learn_are_refused(path, name):
    modules = {"SVC": "svm", "AdditiveChi2Sampler": "kernel_approximation"}
    full = f"sklearn.{modules.get(name, 'ensemble')}.{name}"
    write_file(path, {}, {"estimator": {"object": [full, {"params": {}, "fitted": {}}]}})
    with pytest.raises(ValueError, match="It refers to the class"):
        load(path)


@pytest.mark.parametrize("levels", [[2.0, 1.0], [1.0, 1.0], [np.nan, 1.0]])
def test_unsorted_numeric_categories_are_refused(path, levels):
    # Unsorted categories led to an index beyond the last column of a sparse matrix.
    encoder = OneHotEncoder(handle_unknown="ignore").fit([[1.0], [2.0]])
    forgery = Forgery(encoder, path)
    forgery.arrays[forgery.fitted["categories_"][0]["array"][3]] = np.array(levels)
    assert_refused(forgery, "categories_")


def test_deeply_nested_estimators_are_refused(path):
    # Each level doubles the time of repr.
    forgery = Forgery(Pipeline([("a", StandardScaler())]), path)
    tree = forgery.content["estimator"]
    for _ in range(20):
        tree = {
            "object": [
                "sklearn.pipeline.Pipeline",
                {"params": {"steps": [{"tuple": ["a", tree]}]}, "fitted": {}},
            ]
        }
    forgery.content["estimator"] = tree
    assert_refused(forgery, "levels of nested estimators")


def test_estimator_with_missing_fitted_attributes_is_refused(path):
    forgery = Forgery(StandardScaler().fit([[1.0], [2.0]]), path)
    del forgery.fitted["mean_"]
    assert_refused(forgery, "A fitted preprocessing.StandardScaler must have")


def test_many_keys_with_equal_hashes_are_refused(path):
    forgery = Forgery(SGANClassifier(), path)
    forgery.params["class_weight"] = {"dict": [[(2**61 - 1) * i, 1] for i in range(40_000)]}
    start = time.monotonic()
    assert_refused(forgery, "keys that are not strings")
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "dtype",
    [
        ["arrow", "decimal128", 38, 2**31 - 1],
        ["arrow", "decimal128", 38, -5],
        ["arrow", "decimal256", 76, 77],
        ["arrow", "dictionary", ["int8"], ["null"], False],
    ],
    ids=str,
)
def test_types_that_crash_arrow_are_refused(dtype):
    with pytest.raises((TypeError, ValueError)):
        pandas_dtype(dtype)


@pytest.mark.parametrize("name", ["<M8", "m8[Y]", "U3", "|S1", "V4", "i4,i4", "c16", 3, None])
def test_invalid_dtype_names_are_refused(name):
    with pytest.raises(TypeError):
        column_numpy_dtype(name)
    with pytest.raises((TypeError, ValueError)):
        pandas_dtype(["numpy", name])


@pytest.mark.parametrize("name", ["|O", "object", "<M8[s]"])
def test_sparse_columns_must_hold_numbers(name):
    with pytest.raises(TypeError, match="not expected here"):
        pandas_dtype(["sparse", name, 0])


@pytest.mark.parametrize("name", ["<M8[0s]", "m8[0D]", "<m8[00s]"])
def test_time_units_without_a_fixed_length_are_refused(path, name):
    with pytest.raises(TypeError, match="dtype"):
        numpy_dtype(name, "mM")
    forgery = Forgery(OrdinalEncoder(), path)
    forgery.params["dtype"] = {"dtype": name}
    assert_refused(forgery)


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("architecture", "hidden_layer_sizes", {"tuple": [1] * 20_000}),
        ("architecture", "hidden_layer_sizes", {"tuple": [10**9]}),
        ("architecture", "hidden_layer_sizes", {"tuple": [10**9] * 5}),
        ("architecture", "generator_hidden_layer_sizes", {"tuple": [1] * 20_000}),
        ("net", "latent_dim", 10**9),
        ("net", "latent_dim", 65_536),
        ("net", "latent_dim", 65_537),
    ],
)
def test_forged_sizes_are_refused_before_memory_is_allocated(forgery, part, name, value):
    if part == "net":
        forgery.part("net", "params", name)[1] = value
    else:
        forgery.fitted["architecture"]["object"][1]["params"][name] = value
    start = time.monotonic()
    assert_refused(forgery)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("value", [-1, 2**53, 1.5, True, "1", None])
def test_invalid_number_of_steps_is_refused(forgery, value):
    forgery.part("net", "results", "n_steps_")[1] = value
    assert_refused(forgery, "result n_steps_")


@pytest.mark.parametrize(
    "change",
    [
        {"row_shape": {"tuple": [5]}},
        {"row_shape": {"tuple": [2, 2]}},
        {"row_shape": {"tuple": [-2, -2]}},
        {"row_shape": [4]},
        {"image_shape": {"tuple": [2, 2, 1]}},
        {"as_images": True},
        {"has_mirror_images": 1},
    ],
)
def test_invalid_row_shapes_are_refused(forgery, change):
    ((key, value),) = change.items()
    forgery.part("space", key)[1] = value
    assert_refused(forgery)


def test_too_many_levels_are_refused(forgery):
    forgery.set_array(np.array([0, 0, 0, 10**7]), "space", "scaler", "levels")
    assert_refused(forgery, "levels")


@pytest.mark.parametrize(
    ("name", "value"), [("checkpoint_dir", "else"), ("checkpoint_every", 2), ("resume", True)]
)
def test_settings_of_a_run_are_refused(forgery, tmp_path, monkeypatch, name, value):
    monkeypatch.chdir(tmp_path)
    forgery.options[name] = value
    assert_refused(forgery, "a folder of checkpoints")
    assert not (tmp_path / "else").exists()


@pytest.mark.parametrize(
    "training",
    [
        "cosine",
        3,
        {"dict": [["averaging_decay", 0.5]]},
        {"object": ["sklearn.preprocessing.StandardScaler", {"params": {}, "fitted": {}}]},
        {"object": ["sgan_sklearn.MLPArchitecture", {"params": {}, "fitted": {}}]},
    ],
    ids=["text", "number", "dict", "scaler", "architecture"],
)
def test_options_of_another_type_are_refused(forgery, training):
    forgery.params["training"] = training
    assert_refused(forgery, "'training' parameter of SGANClassifier")


# --- checkpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [{"dict": []}, [1], None, "x", {"dict": [["history", []]]}])
def test_checkpoints_with_other_content_are_ignored(make_classifier, data, tmp_path, tree):
    whole = make_classifier(max_epochs=3).fit(*data)
    make_classifier(training__checkpoint_dir=tmp_path, max_epochs=2).fit(*data)
    names = sorted(path.name for path in tmp_path.iterdir())
    write_file(tmp_path / names[-1], {}, tree)
    classifier = make_classifier(
        max_epochs=3, training__checkpoint_dir=tmp_path, training__resume=True
    )
    with pytest.warns(UserWarning, match=rf"checkpoint cannot be used.*{names[-1]}"):
        classifier.fit(*data)
    assert classifier.net_.n_epochs_resumed_ == 1
    np.testing.assert_array_equal(classifier.predict_proba(data[0]), whole.predict_proba(data[0]))


CHANGES = {
    "watch of other attributes": lambda state: state["watch"].update(look="x"),
    "another network": lambda state: state["networks"].update(x={}),
    "another optimizer": lambda state: state["optimizers"].update(x={}),
    "an optimizer as network": lambda state: state["networks"].update(optimizer_={}),
    "two streams of rows": lambda state: state["batches"]["remaining"].pop(),
    "an unlabeled row": lambda state: state["batches"]["remaining"].__setitem__(0, np.array([0])),
    "a row too many": lambda state: state["batches"]["remaining"].__setitem__(1, np.array([48])),
    "a constant of a class": lambda state: state["parts"][1].update(name=[1]),
    "a method": lambda state: state["parts"][0].update(generator_loss="x"),
    "moments": lambda state: state["optimizers"]["optimizer_"]["state"][0].update(step=np.zeros(3)),
    "shares of other classes": lambda state: state["parts"][2].update(mean_=torch.zeros(7)),
    "shares that are no numbers": lambda state: state["parts"][2]["mean_"].fill_(np.nan),
    "thresholds of other classes": lambda state: state["parts"][3].update(mean_=torch.zeros(7)),
    "a confidence that is no number": lambda state: state["parts"][3]["confidence_"].fill_(np.nan),
    "half of the averages": lambda state: state["parts"][3].pop("confidence_"),
    "results of other names": lambda state: state["results"].update(module_=1),
    "a number of steps": lambda state: state["results"].update(n_steps_=-1),
    "a divergence": lambda state: state["results"].update(diverged_=True),
    "an interrupt": lambda state: state["results"].update(interrupted_=True),
    "an epoch less": lambda state: state["history"].pop("epoch"),
    "a position": lambda state: state["latent_order"].__setitem__(slice(8, 12), 255),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Return a fitted classifier, and a folder with the checkpoints of its first two epochs."""
    folder = tmp_path_factory.mktemp("checkpoints")
    X, y, _ = three_classes()
    whole = small_classifier(**OF_CHECKPOINTS).fit(X, y)
    params = {**OF_CHECKPOINTS, "max_epochs": 2, "training__checkpoint_dir": folder}
    small_classifier(**params).fit(X, y)
    return whole, folder


OF_CHECKPOINTS = {
    "max_epochs": 3,
    "early_stopping": True,
    "validation_fraction": 0.3,
    "regularizer": ["virtual_adversarial", "class_prior", PseudoLabel("adaptive")],
}


@pytest.mark.parametrize("change", CHANGES)
def test_forged_checkpoints_are_ignored(make_classifier, data, tmp_path, interrupted, change):
    (X, y), (whole, folder) = data, interrupted
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    newest = max(tmp_path.iterdir())
    state = decode(*read_file(newest))
    CHANGES[change](state)
    arrays, tree, _ = encode(state, "checkpoint")
    write_file(newest, arrays, tree)
    classifier = make_classifier(
        **OF_CHECKPOINTS, training__checkpoint_dir=tmp_path, training__resume=True
    )
    with pytest.warns(
        UserWarning, match=rf"cannot be used and is skipped.*{newest.name}"
    ) as caught:
        classifier.fit(X, y)
    assert caught[0].filename == __file__
    assert classifier.net_.n_epochs_resumed_ == 1
    np.testing.assert_array_equal(classifier.predict_proba(X), whole.predict_proba(X))


def a_generator_state(left, following, seeded=1):
    state = torch.Generator().manual_seed(0).get_state().numpy().copy()
    state[8:12] = np.frombuffer(np.int32(left).tobytes(), np.uint8)
    state[12:16] = np.frombuffer(np.int32(seeded).tobytes(), np.uint8)
    state[16:24] = np.frombuffer(np.int64(following).tobytes(), np.uint8)
    return state


@pytest.mark.parametrize(
    "state",
    [
        a_generator_state(624, 624),
        a_generator_state(1, 10**9),
        a_generator_state(-5, 630),
        a_generator_state(10**9, 1),
        a_generator_state(624, 1, seeded=0),
        np.zeros(5056, dtype=np.uint8),
        np.zeros(1, dtype=np.uint8),
        np.zeros(5056, dtype=np.int8),
        None,
    ],
    ids=lambda state: None,
)
def test_states_of_torch_generators_out_of_range_are_refused(state):
    with pytest.raises(ValueError, match=r"random generator"):
        check_generator_state(torch.Generator(), state)


@given(st.lists(st.sampled_from(["rand", "randn", "randn(16)", "randperm"]), max_size=30))
@settings(max_examples=50)
def test_states_of_torch_generators_are_known(calls):
    generator = torch.Generator().manual_seed(3)
    for call in calls:
        match call:
            case "rand":
                torch.rand(7, generator=generator)
            case "randn":
                torch.randn(3, generator=generator)
            case "randn(16)":
                torch.randn(160, generator=generator)
            case _:
                torch.randperm(200, generator=generator)
        check_generator_state(generator, generator.get_state().numpy())


# --- any change -----------------------------------------------------------------------------------

MODELS = ["array", "critic", "frame", "pipeline", "text", "unfitted"]
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz():
    """Return the script that forges files."""
    if not BENCHMARKS.exists():
        pytest.skip("a source distribution comes without the benchmarks")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import fuzz_load

        yield fuzz_load


@pytest.fixture(scope="module")
def honest(fuzz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    names = [*MODELS]
    if parse_version(sklearn.__version__) < parse_version("1.7"):
        names.remove("pipeline")  # which contains a private list class there
    return {name: fuzz.write_model(name, folder) for name in names}


def test_unchanged_files_are_loaded(fuzz, honest, tmp_path):
    for name, path in honest.items():
        assert fuzz.use(path, *fuzz.inputs(name), tmp_path / "copy") == "used"


@given(st.sampled_from(MODELS), st.integers(0, 2**32 - 1))
@settings(max_examples=300)
def test_any_forgery_is_refused_or_used(fuzz, honest, tmp_path_factory, name, seed):
    path = honest.get(name, honest["array"])
    arrays, content, _ = fuzz.forge(*read_file(path), np.random.RandomState(seed))
    forged = tmp_path_factory.getbasetemp() / "forged"
    try:
        write_file(forged, arrays, content)
    except (RecursionError, TypeError, ValueError):
        return  # no file can say that
    outcome = fuzz.use(forged, *fuzz.inputs(name), forged.with_name("copy"))
    assert outcome.startswith(("refused", "used")), outcome
    assert not outcome.startswith("refused without"), outcome


# --- a file that is replaced ----------------------------------------------------------------------

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions and links are POSIX's")


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_mode_of_an_old_file_is_kept(path, mode):
    save(SGANClassifier(), path)
    path.chmod(mode)
    save(SGANClassifier(), path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
def test_pipes_and_devices_are_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        save(SGANClassifier(), path)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write any file")
def test_read_only_file_is_kept(path):
    save(SGANClassifier(latent_dim=3), path)
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="is not writable"):
        save(SGANClassifier(), path)
    assert load(path).latent_dim == 3


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(SGANClassifier(latent_dim=3), "~/model.sgan")
    assert load("~/model.sgan").latent_dim == 3


@pytest.mark.parametrize("name", [None, b"model", 3])
def test_names_of_files_are_strings_or_paths(name):
    with pytest.raises(TypeError, match="The path of a file must be a string or a path"):
        save(SGANClassifier(), name)


@POSIX
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_new_file_respects_the_umask(path, mask):
    before = os.umask(mask)
    try:
        save(SGANClassifier(), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@POSIX
def test_target_of_a_symbolic_link_is_written(path, tmp_path):
    target = tmp_path / "elsewhere" / "target.sgan"
    target.parent.mkdir()
    path.symlink_to(target)
    save(SGANClassifier(latent_dim=3), path)
    save(SGANClassifier(latent_dim=5), path)
    assert path.is_symlink()
    assert load(target).latent_dim == 5
    assert os.listdir(target.parent) == [target.name]


def test_longest_name_is_written(tmp_path):
    path = tmp_path / ("n" * 240)
    save(SGANClassifier(), path)
    assert os.listdir(tmp_path) == [path.name]


SAVE = """
import sys
from pathlib import Path
from sgan_sklearn._storage.files import replace_file
print("ready", flush=True)
sys.stdin.readline()
while True:
    replace_file(Path(sys.argv[1]), bytes(20_000_000))
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_save_removes_leftovers_of_a_killed_save(path):
    process = subprocess.Popen(
        [sys.executable, "-c", SAVE, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        replace_file(path, b"good")
        process.stdin.write(b"\n")
        process.stdin.flush()
        # Kill the process as soon as its temporary file exists.
        while not any(p.suffix == ".tmp" and p.stat().st_size for p in path.parent.iterdir()):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    assert path.stat().st_size in (4, 20_000_000)
    assert len(os.listdir(path.parent)) == 2
    replace_file(path, b"good")
    assert os.listdir(path.parent) == [path.name]


def test_temporary_file_of_another_process_is_kept(path):
    replace_file(path, b"good")
    program = "import fcntl, sys; f = open(sys.argv[1], 'wb'); f.write(b'x'); f.flush(); "
    program += "fcntl.flock(f, fcntl.LOCK_EX); print('locked', flush=True); sys.stdin.readline()"
    prefix = files_module._temporary_prefix(path)
    other = path.with_name(f"{prefix}89abcdef.tmp")
    process = subprocess.Popen(
        [sys.executable, "-c", program, other], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        process.stdout.readline()
        replace_file(path, b"better")
        assert other.exists()
        process.stdin.close()
    replace_file(path, b"best")
    assert not other.exists()


def write_with_limit(path, room):
    """Write a file, as a process whose files have a largest size; it ends with the status 17."""
    import resource  # not on Windows

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        write_file(path, {"x": np.zeros(10_000)}, {})
    except OSError:
        os._exit(17)
    os._exit(0)


@pytest.mark.skipif(os.name != "posix", reason="sizes of files have no limits")
@pytest.mark.parametrize("room", [0, 1, 1000, 79_000])
def test_full_disk_keeps_the_former_file(path, room):
    write_file(path, {}, "good")
    before = path.read_bytes()
    child = multiprocessing.get_context("fork").Process(target=write_with_limit, args=(path, room))
    child.start()
    child.join()
    assert child.exitcode == 17
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
