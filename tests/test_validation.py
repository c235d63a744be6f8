import numpy as np
import pytest
from scipy import sparse

from sgan_sklearn._data.validation import check_dense, check_same_length


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.coo_matrix, sparse.csr_array])
def test_sparse_rows(kind):
    with pytest.raises(TypeError, match=r"Sparse data was passed for X.*TruncatedSVD"):
        check_dense(kind(np.eye(3)))


@pytest.mark.parametrize("n_values", [2, 4], ids=["too few", "too many"])
def test_same_length(n_values):
    X = np.zeros((3, 2))
    check_same_length("y", np.zeros(3), X)
    with pytest.raises(ValueError, match=rf"y must hold one value .* 3 rows, y has {n_values}"):
        check_same_length("y", np.zeros(n_values), X)
