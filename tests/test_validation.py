import numpy as np
import pytest

from sgan_sklearn._data.validation import check_same_length


@pytest.mark.parametrize("n_values", [2, 4], ids=["too few", "too many"])
def test_same_length(n_values):
    X = np.zeros((3, 2))
    check_same_length("y", np.zeros(3), X)
    with pytest.raises(ValueError, match=rf"y must hold one value .* 3 rows, y has {n_values}"):
        check_same_length("y", np.zeros(n_values), X)
