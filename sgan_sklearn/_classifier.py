"""The estimator `SGANClassifier`."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sgan_sklearn._data.batches import SemiSupervisedDataset
from sgan_sklearn._data.labels import codes_to_sample
from sgan_sklearn._data.rows import Rows, StreamedRows, training_rows
from sgan_sklearn._data.scaling import SCALINGS
from sgan_sklearn._data.space import ModelSpace
from sgan_sklearn._data.targets import check_mark
from sgan_sklearn._fitted_state import (
    fitted_state,
    restore_fitted_state,
    set_history,
    unchanged_on_error,
)
from sgan_sklearn._runtime.device import within_gpu_memory
from sgan_sklearn._runtime.processes import process_index
from sgan_sklearn._runtime.progress import print_rows
from sgan_sklearn._runtime.random import RandomState, draw_seed, seeded
from sgan_sklearn._runtime.settings import plain_settings, with_plain_settings
from sgan_sklearn._runtime.threads import limit_threads_after_fork
from sgan_sklearn._target import ClassTarget
from sgan_sklearn._training.build import build_net
from sgan_sklearn._training.diagnostics import warn_about_failures
from sgan_sklearn._training.early_stopping import validation_scores
from sgan_sklearn._training.ensemble import MEMBERS, Ensemble
from sgan_sklearn._training.generation import (
    check_generator_trained,
    fit_column_map,
    fit_sampler,
    sampled_rows,
    within_memory,
)
from sgan_sklearn._training.inputs import Inputs, check_inputs
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn._training.options import OF_ONE_RUN, Training
from sgan_sklearn._training.plan import Plan
from sgan_sklearn._training.sklearn_callbacks import (
    CallbackSupportMixin,
    epoch_reporters,
    with_callbacks,
)
from sgan_sklearn.architectures import ARCHITECTURES, Architecture
from sgan_sklearn.augmentations import AUGMENTATIONS, Augmentation
from sgan_sklearn.objectives import OBJECTIVES, Objective
from sgan_sklearn.regularizers import REGULARIZERS, Regularizer
from sgan_sklearn.samplers import SAMPLERS, ColumnMap, Sampler

__all__ = ["SGANClassifier"]

# Maximum length of latent vectors; longer ones would only need memory.
MAX_LATENT_DIM = 2**16

# Upper bound of all counts.
MANY = 2**31 - 1


class SGANClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Classifier that learns from unlabeled rows through a semi-supervised GAN.

    Two networks are trained together. A discriminator classifies the labeled rows and distinguishes
    real rows from generated ones, and a generator produces such rows. The discriminator thereby
    learns the distribution of the unlabeled rows, and places decision boundaries where few are.

    .. versionadded:: 0.1

    Parameters
    ----------
    architecture : {"auto", "mlp", "conv", "resnet"} or Architecture, default="auto"
        The two networks: multilayer perceptrons ("mlp"), convolutional networks for images ("conv")
        or residual networks ("resnet"). "auto" is "resnet" for images of 24 pixels or more per
        side, "conv" for smaller images, and "mlp" otherwise, with more noise for wide tables. Pass
        an instance from `sgan_sklearn.architectures` for sizes or other networks.
    objective : {"feature_matching", "complement", "stacked", "softmax", "two_headed", \
            "supervised"} or Objective, default="feature_matching"
        The losses of the two networks; the guide page *Objectives and regularizers* compares them.
        "supervised" trains no generator. Pass an instance from `sgan_sklearn.objectives` to choose
        its options.
    regularizer : {"auto", "class_prior", "consistency", "distillation", "entropy", "pseudo_label",\
 "spread_labels", "virtual_adversarial"}, Regularizer, list of these, or None, default="auto"
        Loss terms on unlabeled rows. "auto" is "pseudo_label" for images, after "spread_labels" in
        residual networks; for tables "virtual_adversarial", "class_prior" and
        "distillation", or "pseudo_label" in its place for wide tables (100 numbers or more). With
        weights, some are omitted. Instances from `sgan_sklearn.regularizers` have options.
    ensemble : {"auto", "extra_trees", "logistic_regression", "random_forest", "self_training"}, \
classifier, list or tuple of these, or None, default="auto"
        Classifiers, fitted on the labeled rows, whose class probabilities are averaged with those
        of the discriminator, which learns the averages after its training. "auto" is all four, or
        None for images and wide tables. Their weights depend on cross-validation.
    sampler : {"generator", "critic"} or Sampler, default="generator"
        Source of the rows of `sample`. "generator" is the classifier's own. "critic" trains a
        second generator after the classifier, for tables only, in one to four minutes; on most
        tables, its rows resemble the training rows more closely. See the guide page *Sampling*.
    latent_dim : int, default=64
        Length of the random vectors that the generator turns into rows, at most 65,536. A small
        value limits the variety of the rows.
    categorical_features : "from_dtype", array-like of str, int or bool, or None, \
default="from_dtype"
        Columns of a table that are categories: names, indices or a mask. "from_dtype" takes the
        columns of a DataFrame that hold text, booleans or the dtype "category". None takes all
        columns as numbers. See the guide page *Tables*.
    n_components : int or None, default=500
        Sparse `X` with more columns is reduced to this many components of its truncated singular
        value decomposition, scaled to unit length. With None, `fit` raises an error for sparse `X`.
    image_shape : None, (height, width) or (height, width, channels), default=None
        Shape of the image in each row, with 1 or 3 channels, if `X` holds flat images. Arrays of
        three or four dimensions do not need it.
    augment : {"auto", "affine", "photo"}, Augmentation or None, default="auto"
        Random changes of the real images: shifts, rotations and scales ("affine"), or shifts,
        mirror images, cut-out squares and colors ("photo"). "auto" is "affine", with cut-out
        squares in residual networks; for their color images "photo", whose `flip` depends on them.
    scaling : {"auto", "shared", "standard", "asinh", "image", "none"} or transformer, \
default="auto"
        How columns are scaled for the networks; `sample` inverts it. "auto" is "image" for images
        in convolutional networks, and depends on the columns otherwise. A transformer needs an
        ``inverse_transform`` and must keep the number of columns. See the guide page *Tables*.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows. NaN stands for NaN, None, ``pd.NA`` and ``pd.NaT``. None
        means that all rows are labeled.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss on labeled rows, scaled to a mean of one over these rows;
        classes missing from a dict have weight one. "balanced" uses inverse frequencies.
    max_epochs : int or "auto", default="auto"
        Number of passes over all rows. "auto" is 10 (4 for wide tables and in residual networks),
        increased to reach 100 steps for each class (500 to 2,000; 900 for wide tables, 2,000 in
        convolutional networks; in residual ones 4,000, or 10,000 with color), and decreased to
        stay within 10,000 steps, but at least 1.
    batch_size : int or "auto", default="auto"
        Number of generated rows in a step, and at most of unlabeled and of labeled rows, of which
        there are half as many in residual networks. "auto" is 100 in these, and 50 otherwise.
    discriminator_lr : float, default=5e-3
        Learning rate of the discriminator's Adam optimizer.
    generator_lr : float, default=5e-3
        Learning rate of the generator's Adam optimizer.
    unsupervised_weight : float, default=1.0
        Weight of all losses on unlabeled and generated rows relative to the loss on labeled rows.
        0 trains the discriminator on the labeled rows only, and no generator.
    training : Training, default=None
        Options of the training loop, such as schedules and checkpoints. None is ``Training()``.
    warm_start : bool, default=False
        Whether `fit` continues the training of a fitted model for another `max_epochs`. Classes
        and columns must be the same. Networks, objective, regularizers, scaling and device remain
        those of the first fit.
    device : str, default="auto"
        Device of the networks, such as "cpu" or "cuda:1". "auto" is the first CUDA GPU, or "cpu".
    early_stopping : bool, default=False
        Whether to hold out labeled rows, stop when the accuracy on them has not improved for
        `n_iter_no_change` epochs, and keep the best epoch, the latest of equal ones. See the guide
        page *Choosing parameters*.
    validation_fraction : float, default=0.1
        Stratified share of the labeled rows that `early_stopping` holds out.
    n_iter_no_change : int, default=10
        Number of epochs without improvement after which `early_stopping` stops.
    callbacks : list of skorch callbacks, default=None
        Callbacks called during training. One may set ``net.stop_training_ = True`` to stop after
        the epoch. Scoring callbacks need the rows that `early_stopping` holds out, or
        ``on_train=True``. Callbacks of scikit-learn are set with ``set_callbacks``. See the guide
        page *Callbacks*.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness. On a CPU the same integer gives the same model to the bit, for
        large networks with the same number of threads. See the guide page *Reproducibility*.
    verbose : int, default=0
        1 prints the numbers of rows and classes, and about 20 epochs with their losses and the
        remaining time; 2 prints all epochs.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels, without `unlabeled_value`.
    n_features_in_ : int
        Number of columns of `X`; height * width * channels for images.
    image_shape_ : tuple of (height, width, channels) or None
        Shape of the images; None for a table.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if `X` was a DataFrame with string names.
    transduction_ : ndarray of shape (n_samples,)
        Label of each training row, given or predicted; after `partial_fit`, of the last call.
    label_distributions_ : ndarray of shape (n_samples, n_classes)
        Class probabilities behind `transduction_`; given labels have probability one, and
        given probabilities are kept.
    labeled_mask_ : ndarray of bool of shape (n_samples,)
        Whether a training row had a label, or class probabilities; of the last `partial_fit`.
    class_prior_ : ndarray of shape (n_classes,)
        Class proportions: the means of `label_distributions_` over the rows that were trained on,
        weighted by `sample_weight`.
    history_ : list of dict
        A record for each epoch: its number ("epoch"), the means of the loss terms over the steps
        that have them, "generated_spread" (the mean standard deviation of generated columns
        relative to real ones), the duration in seconds ("dur"), and with `early_stopping` the
        scores on the rows held out ("valid_loss", "valid_acc", "validation_score").
    n_iter_ : int
        Number of epochs trained.
    n_steps_ : int
        Number of training steps of the networks that are kept.
    validation_scores_ : list of float or None
        Accuracy on the held-out rows after each epoch of the last fit; None without
        `early_stopping`.
    best_validation_score_ : float or None
        The highest of them, that of the epoch that is kept.
    discriminator_ : torch.nn.Module
        Discriminator with averaged weights, in evaluation mode; its input is scaled.
    generator_ : torch.nn.Module
        Generator with averaged weights, in evaluation mode; its output is scaled.
    net_ : skorch.NeuralNet
        The training loop, with the networks, their averages and their optimizers.
    plan_ : Plan
        The parameters of the fit, with a value in place of each "auto": networks, losses, number
        of epochs, decay of the averages, precision, device.
    sampler_ : Sampler or None
        The fitted `sampler`; None for "generator".
    scaler_ : transformer
        The fitted `scaling`, with the levels of categories and the values for missing numbers.

    See Also
    --------
    sklearn.semi_supervised.LabelSpreading : Spreads labels along a graph of neighbors.
    sklearn.semi_supervised.SelfTrainingClassifier : Labels confident rows and learns again.

    References
    ----------
    Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sgan_sklearn import SGANClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> few_labels = np.full(len(y), -1)  # -1 marks unlabeled rows
    >>> few_labels[:100] = y[:100]
    >>> clf = SGANClassifier(max_epochs=20, random_state=0).fit(X, few_labels)
    >>> clf.predict(X[100:103])
    array([4, 0, 5])
    >>> clf.sample(2, random_state=0).shape
    (2, 64)

    Images are classified by convolutional networks and generated as images:

    >>> images = X.reshape(-1, 8, 8)
    >>> clf = SGANClassifier(max_epochs=1, random_state=0).fit(images, few_labels)
    >>> clf.sample(2, random_state=0).shape
    (2, 8, 8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "architecture": [StrOptions({"auto", *ARCHITECTURES}), Architecture],
        "objective": [StrOptions(set(OBJECTIVES)), Objective],
        "regularizer": [StrOptions({"auto", *REGULARIZERS}), Regularizer, list, tuple, None],
        "ensemble": [StrOptions({"auto", *MEMBERS}), HasMethods(["fit"]), list, tuple, None],
        "sampler": [StrOptions({"generator", *SAMPLERS}), Sampler],
        "latent_dim": [Interval(Integral, 1, MAX_LATENT_DIM, closed="both")],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "n_components": [Interval(Integral, 1, MANY, closed="both"), None],
        "image_shape": [tuple, list, None],
        "augment": [StrOptions({"auto", *AUGMENTATIONS}), Augmentation, None],
        "scaling": [
            StrOptions(set(SCALINGS)),
            HasMethods(["fit", "transform", "inverse_transform"]),
        ],
        "unlabeled_value": [Real, str, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, MANY, closed="both")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, MANY, closed="both")],
        "discriminator_lr": [Interval(Real, 0, None, closed="neither")],
        "generator_lr": [Interval(Real, 0, None, closed="neither")],
        "unsupervised_weight": [Interval(Real, 0, None, closed="left")],
        "training": [Training, None],
        "warm_start": ["boolean"],
        "device": [str],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Where the HTML representation links to.
    _doc_link_module = "sgan_sklearn"
    _doc_link_template = (
        "https://github.com/sgan-sklearn/sgan-sklearn/blob/main/sgan_sklearn/_classifier.py"
    )

    classes_: np.ndarray
    class_prior_: np.ndarray
    labeled_mask_: np.ndarray
    net_: SGANNet
    plan_: Plan
    _space: ModelSpace
    _row_weights: np.ndarray | None
    _validation_seed: int | None
    sampler_: Sampler | None
    _column_map: ColumnMap | None

    def __init__(
        self,
        architecture: str | Architecture = "auto",
        objective: str | Objective = "feature_matching",
        *,
        regularizer: Any = "auto",
        ensemble: Any = "auto",
        sampler: str | Sampler = "generator",
        latent_dim: int = 64,
        categorical_features: Any = "from_dtype",
        n_components: int | None = 500,
        image_shape: tuple[int, ...] | None = None,
        augment: str | Augmentation | None = "auto",
        scaling: Any = "auto",
        unlabeled_value: Any = -1,
        class_weight: dict[Any, float] | str | None = None,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        discriminator_lr: float = 5e-3,
        generator_lr: float = 5e-3,
        unsupervised_weight: float = 1.0,
        training: Training | None = None,
        warm_start: bool = False,
        device: str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        callbacks: Any = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.architecture = architecture
        self.objective = objective
        self.regularizer = regularizer
        self.ensemble = ensemble
        self.sampler = sampler
        self.latent_dim = latent_dim
        self.categorical_features = categorical_features
        self.n_components = n_components
        self.image_shape = image_shape
        self.augment = augment
        self.scaling = scaling
        self.unlabeled_value = unlabeled_value
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.discriminator_lr = discriminator_lr
        self.generator_lr = generator_lr
        self.unsupervised_weight = unsupervised_weight
        self.training = training
        self.warm_start = warm_start
        self.device = device
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SGANClassifier:
        """Train on labeled and unlabeled rows.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or array of \
shape (n_samples, height, width) or (n_samples, height, width, channels)
            Unscaled rows or images. Tables may have categories, dates and missing values.
        y : array-like of shape (n_samples,), or array or frame of shape (n_samples, n_classes)
            Class labels: integers, floats, booleans or strings, with `unlabeled_value` in the
            unlabeled rows; masked entries are unlabeled. Or the probability of each class, with NaN
            in the unlabeled rows; the columns of a frame are the classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of labeled rows in their loss, scaled to a mean of one over these rows, and how
            often each row is drawn without its label. A row of weight 0 is not trained on; None is
            a weight of one for all. With weights, "auto" omits some regularizers.

        Returns
        -------
        self : SGANClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, `X` or `y` is not as described, or if `y` holds `unlabeled_value`
            converted to another dtype, such as "-1" or 255. A model fitted before is kept.
        TypeError
            If `X` is a frame that must be collected first, or sparse though `n_components` is None.
        MemoryError
            If a GPU's memory is too small. A model fitted before is kept.
        KeyboardInterrupt
            After Ctrl-C. The estimator keeps the model so far.

        Warns
        -----
        ConvergenceWarning
            If a loss diverges, the generator collapses or the discriminator recognizes all
            generated rows. The last finite model is kept.
        UserWarning
            If no row is unlabeled though `unlabeled_value` is not None, if a class looks like
            another mark of unlabeled rows, if the labels are 1 and -1, if columns identify the rows
            or hold text or numbers as text, or if Ctrl-C ends the training.
        """
        self._validate_params()  # warm_start among them
        continued = bool(self.warm_start) and hasattr(self, "net_")
        return self._fit(X, y, continued=continued, sample_weight=sample_weight)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> SGANClassifier:
        """Train for one epoch on a part of the rows.

        The first call creates the networks and fits the scaling, or continues a `fit`. If labels
        are few, pass the labeled rows together with each part of the unlabeled rows.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or array of \
shape (n_samples, height, width) or (n_samples, height, width, channels)
            Rows or images of this part.
        y : array-like of shape (n_samples,)
            Class labels, with `unlabeled_value` where a row has none; all may be unlabeled.
        classes : array-like of shape (n_classes,), default=None
            Class labels of all parts, required in the first call. `unlabeled_value` among them is
            ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights as in `fit`, but not scaled in the loss, so that they should be about one.

        Returns
        -------
        self : SGANClassifier
            The estimator.

        Raises
        ------
        ValueError
            If `classes` are missing or differ from before, if `y` holds another label, if a
            parameter needs all rows at once (`early_stopping`, a `sampler`,
            ``class_weight="balanced"``, an `lr_schedule` or checkpoints), or as in `fit`.
        TypeError
            If `X` is sparse, with more than `n_components` columns, in the first call.

        Notes
        -----
        `max_epochs`, `warm_start` and `ensemble` are ignored. Categories that are not in the first
        part count as missing. ``regularizer="auto"`` omits "class_prior" and "distillation", and a
        `class_weight` is not scaled. A fitted sampler is dropped.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_digits
        >>> from sgan_sklearn import SGANClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = SGANClassifier(random_state=0)
        >>> for start in range(200, 1700, 500):  # 200 labeled rows, the others in parts
        ...     rows = np.r_[:200, start : start + 500]
        ...     labels = np.where(rows < 200, y[rows], -1)
        ...     clf = clf.partial_fit(X[rows], labels, classes=np.unique(y))
        >>> clf.n_iter_
        3
        """
        options = {"continued": hasattr(self, "net_"), "in_parts": True, "classes": classes}
        return self._fit(X, y, sample_weight=sample_weight, **options)

    def set_params(self, **params: Any) -> SGANClassifier:
        """Set the parameters of this estimator, or of a component as ``training__tol``.

        Parameters
        ----------
        **params : dict
            Parameters. Those of `training` set it to ``Training()`` first if it is None.

        Returns
        -------
        self : SGANClassifier
            The estimator.
        """
        training = params.get("training", self.training)
        if training is None and any(name.startswith("training__") for name in params):
            params = {**params, "training": Training()}
        return super().set_params(**params)

    def _validate_params(self) -> None:
        check_mark(self.unlabeled_value, type(self).__name__)
        super()._validate_params()

    @with_plain_settings
    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely class of each row.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Rows or images like those of `fit`; images may be flat.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels, of the dtype of ``classes_``.

        Warns
        -----
        UserWarning
            If more than half of the values of a column of categories are unknown. Unknown values
            count as missing.
        """
        logits = self._class_logits(self._to_model_space(X))
        return ClassTarget(self.classes_).decode(logits)

    @with_plain_settings
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class: the softmax of the class logits.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Rows or images like those of `fit`; images may be flat.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Float32; columns in the order of ``classes_``, rows that sum to one.
        """
        return softmax(self._class_logits(self._to_model_space(X)), axis=1)

    @with_plain_settings
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the class logits, or for two classes the log-odds of the second.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Rows or images like those of `fit`; images may be flat.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            One column for each class in the order of ``classes_``; with two classes a vector,
            positive where ``classes_[1]`` is predicted.
        """
        logits = self._class_logits(self._to_model_space(X))
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    @with_plain_settings
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on the labeled rows.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Rows or images like those of `fit`; images may be flat.
        y : array-like of shape (n_samples,)
            True labels; rows with `unlabeled_value` are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        accuracy : float
            Weighted share of the labeled rows that `predict` gets right.

        Raises
        ------
        ValueError
            If no row is labeled.
        """
        check_is_fitted(self)
        return ClassTarget.score_labeled(self.predict, X, y, sample_weight, self.unlabeled_value)

    @with_plain_settings
    def score_samples(self, X: Any) -> np.ndarray:
        """Return how real each row looks to the discriminator.

        This is not a density: it is high where there are training rows but no generated rows.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Rows or images like those of `fit`; images may be flat.

        Returns
        -------
        realness : ndarray of shape (n_samples,)
            Log-odds that a row is real; float32.

        Raises
        ------
        ValueError
            If the classifier was fitted without a generator: with ``unsupervised_weight=0`` or
            ``objective="supervised"``.
        """
        check_generator_trained(self, "score_samples")
        outputs = self.net_.outputs(self._to_model_space(X))
        return self.net_.objective.realness(outputs).numpy()

    @with_plain_settings
    def sample(
        self, n_samples: int = 1, random_state: RandomState = None, *, label: Any = None
    ) -> Any:
        """Generate rows that look like the training rows.

        In tables, each column of numbers has its distribution in the training rows, except after
        `partial_fit`. If `X` was sparse, so do the components; rows are dense, of about length one.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Source of randomness. The same integer gives the same rows.
        label : class label or array-like of shape (n_samples,), default=None
            Class of all rows, or of each row; an array replaces `n_samples`. Without a `sampler`,
            rows are generated until the discriminator assigns enough of them to the class. None
            does not select rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or images (n_samples, ...), or DataFrame
            Rows in the units, range and dtypes of the training rows; a DataFrame of the same
            columns if those were in one. After a masked array it is a plain array, with NaN or None
            for missing values.

        Raises
        ------
        ValueError
            If `n_samples` is not a positive integer, if `label` is not a class or has another
            length, or if the classifier was fitted without a `sampler` and without a generator:
            with ``unsupervised_weight=0`` or ``objective="supervised"``.
        MemoryError
            If the rows do not fit in memory.
        """
        check_is_fitted(self)
        if self.sampler_ is None:
            check_generator_trained(self, "sample")
        validate_parameter_constraints(
            {
                "n_samples": [Interval(Integral, 1, None, closed="left")],
                "random_state": ["random_state"],
            },
            {"n_samples": n_samples, "random_state": random_state},
            caller_name="SGANClassifier.sample",
        )
        n_values = max(int(np.prod(self.net_.row_shape_)), self.n_features_in_)
        with within_memory(int(n_samples), self.net_.latent_dim + n_values):
            codes = None if label is None else codes_to_sample(label, int(n_samples), self.classes_)
            return sampled_rows(self, int(n_samples), codes, draw_seed(random_state))

    def _params_to_save(self) -> dict[str, Any]:
        """Return the parameters to save, without those of a single run."""
        params = {**self.get_params(deep=False), "callbacks": None}
        if self.training is not None:
            params["training"] = clone(self.training).set_params(**OF_ONE_RUN)
        return params

    def _state_to_save(self) -> dict[str, Any]:
        """Return the fitted state to save, or an empty dict."""
        return fitted_state(self) if hasattr(self, "net_") else {}

    def _restore_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `_state_to_save` has returned, or raise an error."""
        training = Training() if self.training is None else self.training
        of_run = {name: getattr(training, name) for name in OF_ONE_RUN}
        if self.callbacks is not None or of_run != OF_ONE_RUN:
            raise ValueError("A file must not contain callbacks or a folder of checkpoints.")
        if state:
            restore_fitted_state(self, state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True  # images, besides rows
        tags.input_tags.allow_nan = True  # in tables
        tags.input_tags.sparse = self.n_components is not None
        tags.input_tags.categorical = True
        return tags

    @property
    def image_shape_(self) -> tuple[int, int, int] | None:
        """Height, width and channels of the images, or None for a table."""
        check_is_fitted(self)
        return self._space.image_shape

    @property
    def scaler_(self) -> Any:
        """Fitted scaling of the rows."""
        check_is_fitted(self)
        return self._space.scaler_

    @property
    def transduction_(self) -> np.ndarray:
        """Label of each training row, given or predicted."""
        check_is_fitted(self)
        return ClassTarget(self.classes_).decode(self.label_distributions_)

    @property
    def discriminator_(self) -> nn.Module:
        """Discriminator with averaged weights, which predicts."""
        check_is_fitted(self)
        return self.net_.averaged_module_

    @property
    def generator_(self) -> nn.Module:
        """Generator with averaged weights."""
        check_is_fitted(self)
        return self.net_.averaged_generator_

    # --- training ---------------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, *, in_parts: bool = False, **options: Any) -> SGANClassifier:
        """Check the inputs, then train; `in_parts` means `partial_fit`."""
        continued = options["continued"]
        limit_threads_after_fork()
        with plain_settings(), unchanged_on_error(self):
            given = check_inputs(self, X, y, in_parts=in_parts, **options)
            labels, plan = given.labels, given.plan
            if self.verbose and process_index() == 0:
                print_rows(labels.codes, len(labels.classes))
            space, rng = given.space, check_random_state(self.random_state)
            if not continued:
                space.fit(given.rows, labels.codes, rng, given.used)
            rows = training_rows(given.rows, space, torch.device(plan.device))
            arrays = labels.codes, given.weights, given.held_out_mask
            more = given.frequencies, given.used, labels.probabilities
            dataset = SemiSupervisedDataset.from_rows(rows, *arrays, space.inverse_transform, *more)
            fitted = {
                "classes_": labels.classes,
                "plan_": plan,
                "_space": space,
                "_validation_seed": given.validation_seed,
            }
            callbacks = [*given.callbacks, *epoch_reporters(self, X, labels, fitted)]
            net = build_net(self, given, dataset, callbacks, self.net_ if continued else None)
            seed = draw_seed(self.random_state)
            ensemble = Ensemble(given.ensemble, dataset, len(labels.classes), seed)
            n_epochs_before = len(net.history) if continued else 0
            self._train(net, dataset, ensemble)
            warn_about_failures(net, early_stopping=self.early_stopping)
            net.checkpoints = None  # of this training only
            for name, value in {**fitted, "net_": net}.items():
                setattr(self, name, value)
            self._set_training_results(rows, given, n_epochs_before)
            interrupted = net.interrupted_
            self.sampler_ = None if interrupted else plan.sampler
            if self.sampler_ is not None:
                distributions = self.label_distributions_[given.trained]
                interrupted = not fit_sampler(self, self.sampler_, dataset, distributions)
                self.sampler_ = None if interrupted else self.sampler_
            self._column_map = None if in_parts else fit_column_map(self, dataset)
        if interrupted:  # the model is kept, but the program that calls `fit` stops
            raise KeyboardInterrupt
        return self

    @with_callbacks
    def _train(self, net: SGANNet, dataset: SemiSupervisedDataset, ensemble: Ensemble) -> None:
        # Other random numbers where a training continues.
        n_steps_before = getattr(net, "n_steps_", 0)
        seed = draw_seed(self.random_state) + n_steps_before
        with seeded(seed, torch.device(net.device)), within_gpu_memory(net.device, net.batch_size):
            net.fit(dataset)
            ensemble.teach(net)
        if net.interrupted_ and net.n_steps_ == n_steps_before:
            raise KeyboardInterrupt  # nothing was learned

    def _set_training_results(self, rows: Rows, given: Inputs, n_epochs_before: int) -> None:
        labels, self._row_weights = given.labels, given.row_weights
        self.labeled_mask_ = ClassTarget.is_labeled(labels.codes)
        self.label_distributions_ = softmax(self._class_logits(rows), axis=1)
        self.label_distributions_[self.labeled_mask_] = ClassTarget.distributions(labels)
        self.class_prior_ = ClassTarget.proportions(self.label_distributions_, self._row_weights)
        set_history(self)
        self.validation_scores_ = self.best_validation_score_ = None
        if self.early_stopping:
            self.validation_scores_ = validation_scores(self.history_[n_epochs_before:])
            self.best_validation_score_ = max(self.validation_scores_, default=np.nan)

    # --- prediction -------------------------------------------------------------------------

    def _to_model_space(self, X: Any) -> StreamedRows:
        check_is_fitted(self)
        rows = self._space.read_like_training(self, X)
        # Scaled in chunks when the networks read them.
        return StreamedRows(rows, self._space, torch.device(self.net_.device))

    def _class_logits(self, rows: Rows) -> np.ndarray:
        return self.net_.objective.class_logits(self.net_.outputs(rows)).numpy()
