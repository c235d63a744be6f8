"""
===========================
Grid search with few labels
===========================

This example uses ``ColumnTransformer``, ``Pipeline`` and ``GridSearchCV`` of scikit-learn on a
table whose columns need different preprocessing, with 50 labels for 569 rows. The grid contains
parameters of the classifier and of its architecture, and the splitter supports unlabeled rows.
"""

# %%
# The data
# --------
# The rows are measurements of 569 tumors. 25 rows of each class are labeled; ``-1`` marks the
# others. The true labels of these are used only once, at the end.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer

from sgan_sklearn import SGANClassifier
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
few_labels = mask_labels(y, per_class=25, random_state=0)
hidden = few_labels == -1
print(f"{len(X)} rows, {(~hidden).sum()} of them labeled")

# %%
# The pipeline
# ------------
# The logarithm is applied to skewed columns without zeros, two columns are binned into four bins
# each, and the others are unchanged: ``SGANClassifier`` scales all columns itself. Small networks
# and few epochs keep this example short.
skewed = list(X.columns[(X.skew() > 1.5) & (X.min() > 0)])
binned = ["worst texture", "worst smoothness"]
columns = ColumnTransformer(
    [
        ("log", FunctionTransformer(np.log), skewed),
        ("bins", KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform"), binned),
    ],
    remainder="passthrough",
)
architecture = MLPArchitecture(hidden_layer_sizes=(64, 64), generator_hidden_layer_sizes=(64,))
model = Pipeline(
    [
        ("columns", columns),
        ("sgan", SGANClassifier(architecture, max_epochs=6, random_state=0)),
    ]
)
print(f"{len(skewed)} log-transformed columns, {len(binned)} binned columns, {X.shape[1]} in total")

# %%
# Grid search
# -----------
# ``SemiSupervisedSplit`` splits the labeled rows into five folds and adds all unlabeled rows to
# each training set. Another ``__`` gives access to the parameters of the architecture.
#
# Each fold has ten test rows, so its accuracy changes in steps of 0.1 and candidates often tie. The
# candidates are therefore ranked by the log loss, which also depends on the predicted
# probabilities.
grid = {
    "sgan__objective": ["feature_matching", "stacked"],
    "sgan__unsupervised_weight": [0.3, 1.0],
    "sgan__architecture__input_noise": [0.1, 0.5],
}
splitter = SemiSupervisedSplit(5)
search = GridSearchCV(
    model, grid, cv=splitter, scoring=["neg_log_loss", "accuracy"], refit="neg_log_loss"
)
search.fit(X, few_labels)

print("\nBest parameters")
for name, value in search.best_params_.items():
    print(f"  {name:34}{value}")
print(f"Cross-validated log loss {-search.best_score_:.3f}")
accuracies = search.cv_results_["mean_test_accuracy"]
print(f"Cross-validated accuracy {accuracies[search.best_index_]:.3f}", end=", ")
print(f"of all candidates {accuracies.min():.3f} to {accuracies.max():.3f}")

# %%
# The candidates
# --------------
# The error bars are much longer than the differences between the candidates. All candidates use the
# same folds, and a fold with a difficult row is difficult for all of them. Even so, so few labels
# are hardly sufficient to choose between these candidates.
log_loss = -search.cv_results_["mean_test_neg_log_loss"]
error = search.cv_results_["std_test_neg_log_loss"] / np.sqrt(search.n_splits_ - 1)
labels = [
    f"{of['sgan__objective']}, weight {of['sgan__unsupervised_weight']}, "
    f"noise {of['sgan__architecture__input_noise']}"
    for of in search.cv_results_["params"]
]
order = np.argsort(log_loss)
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
places = np.arange(len(order))
ax.errorbar(log_loss[order], places, xerr=error[order], fmt="o", capsize=4)
ax.set_yticks(places, [labels[i] for i in order])
ax.invert_yaxis()  # the best one at the top
ax.set_title("Mean ± standard error of five folds")
ax.set_xlabel("log loss on held-out labels (lower is better)")
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# A common mistake
# ----------------
# What is the result of plain ``cv=5`` for the best parameters? scikit-learn treats -1 as a third
# class and distributes it over the folds. Each training set loses a fifth of the unlabeled rows,
# and each test fold contains them, in addition to the same ten labeled rows as before. Their effect
# depends on the score:
#
# - ``SGANClassifier.score``, which is used if ``scoring`` is not given, ignores them. Only the
#   training is affected, and the effect is too small to be measured with fifty labels.
# - ``"accuracy"`` counts each of them as an error, since -1 is never predicted.
# - ``"neg_log_loss"`` fails because of the third class, so the scores of the search above would all
#   have been nan.
#
# With `sgan_sklearn.metrics.labeled_scorer`, the last two also ignore unlabeled rows.


def own_score(model, X, y):
    return model.score(X, y)


scoring = {"own": own_score, "accuracy": "accuracy"}
plain = cross_validate(search.best_estimator_, X, few_labels, cv=5, scoring=scoring)
rows = [
    ("SemiSupervisedSplit(5)", splitter, accuracies[search.best_index_]),
    ("cv=5", StratifiedKFold(5), plain["test_own"].mean()),
    ('cv=5, scoring="accuracy"', StratifiedKFold(5), plain["test_accuracy"].mean()),
]
print(f"\n{'':38}  unlabeled rows of a fold")
print(f"{'':28}{'accuracy':>10}  {'in training':>12}{'in test':>12}")
for name, cv, accuracy in rows:
    folds = list(cv.split(X, few_labels))
    in_training, in_test = (np.mean([hidden[fold[i]].sum() for fold in folds]) for i in (0, 1))
    print(f"{name:28}{accuracy:10.3f}  {in_training:12.1f}{in_test:12.1f}")

# %%
# The hidden labels
# -----------------
# Finally, the model with the best parameters, fitted on all 50 labels, is scored on the true labels
# of the unlabeled rows, which were not used for any choice.
accuracy = search.best_estimator_.score(X[hidden], y[hidden])
print(f"\nAccuracy on the {hidden.sum()} hidden labels: {accuracy:.3f}")
