import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sgan_sklearn import SGANClassifier
from sgan_sklearn.metrics import labeled_scorer
from sgan_sklearn.model_selection import SemiSupervisedSplit

distributed = pytest.importorskip("distributed")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # warnings of the cluster are not tested
def test_search_on_a_dask_cluster_gives_the_same_results():
    X, y = load_iris(return_X_y=True)
    y = np.where(np.arange(len(y)) % 5 == 0, y, -1)
    search = GridSearchCV(
        SGANClassifier(max_epochs=2, device="cpu", random_state=0),
        {"latent_dim": [8, 16]},
        cv=SemiSupervisedSplit(2, random_state=0),
        scoring=labeled_scorer("accuracy"),
    )
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_backend("dask"),  # parallel_config came with joblib 1.3
    ):
        spread = clone(search).fit(X, y)
    search.fit(X, y)
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(spread.cv_results_[name], search.cv_results_[name])
    np.testing.assert_array_equal(
        spread.best_estimator_.predict_proba(X), search.best_estimator_.predict_proba(X)
    )
