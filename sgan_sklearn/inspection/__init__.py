"""Tools for few labels that work with the classifiers of scikit-learn."""

from sgan_sklearn.inspection._comparison import (
    Comparison,
    compare_with_labels_alone,
)
from sgan_sklearn.inspection._comparison_display import ComparisonDisplay
from sgan_sklearn.inspection._doubts import label_doubts
from sgan_sklearn.inspection._label_cost import LabelCostDisplay
from sgan_sklearn.inspection._novelty import novelty_p_values
from sgan_sklearn.inspection._suggestions import suggest_labels

__all__ = [
    "Comparison",
    "ComparisonDisplay",
    "LabelCostDisplay",
    "compare_with_labels_alone",
    "label_doubts",
    "novelty_p_values",
    "suggest_labels",
]
