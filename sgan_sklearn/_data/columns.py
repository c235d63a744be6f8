"""Conversion of table columns (categories, numbers, dates, missing values) to numbers, and back."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from sgan_sklearn._data.dtypes import (
    DATES,
    UNITS,
    column_numpy_dtype,
    is_category,
    is_plain,
    plain,
)
from sgan_sklearn._data.frames import build_frame, described_columns
from sgan_sklearn._data.integers import EXACT, difference, multiples
from sgan_sklearn._data.table import Column, Table, as_objects
from sgan_sklearn._runtime.user_warnings import warn_user

__all__ = ["MAX_LEVELS", "TableColumns"]

# Attributes of the plain state.
_STATE = ("form", "kinds", "levels", "rare", "rare_counts", "integers", "whole")

# Maximum number of codes per column, one of which the rarest levels share if there are more levels.
MAX_LEVELS = 100

# Placeholder for the levels of a column without values.
NO_LEVELS = [""]

# Maximum number of distinct texts that may mark missing values in a column of numbers.
MAX_MARKERS = 3

# Minimum number of rows to decide that a column is uninformative.
MIN_ROWS = 20

# If random integers would have at least this many pairs of equal values on average, a column of
# integers without any such pair identifies the rows.
MIN_PAIRS = 10


class TableColumns:
    """Names, dtypes, levels of categories and ranges of integers of the columns of X.

    Parameters
    ----------
    table : Table
        The training rows.
    categorical_features : "from_dtype", array-like or None
        As in `SGANClassifier`.

    Attributes
    ----------
    form : list
        Kind of X, and names and dtypes of its columns, as strings and numbers; see
        `Table.describe`.
    frame : "pandas", "polars" or None
        Kind of the frame.
    names : list of str
        Names of the columns in messages.
    kinds : list of str
        Kind of each column: "category", "integer", "number", or one of the `DATES`.
    levels : dict of int to list
        Sorted levels of each category that have separate codes.
    rare : dict of int to list
        Levels that share the next code, for categories with many levels.
    rare_counts : dict of int to list of int
        Number of occurrences of each rare level.
    integers : dict of int to list of int
        For each column of integers or dates: the origin that is subtracted, the smallest and the
        largest value, the step between values, and, for dates, the attoseconds of 1.
    whole : list of int
        Columns of numbers of a frame whose values are all integers.
    uninformative : list of str
        Uninformative columns of the training rows with the reasons. Not saved.
    missing_markers : dict of str to str
        Text that may mark missing values, by the name of the column. Not saved.
    """

    def __init__(self, table: Table, categorical_features: Any) -> None:
        if table.n_columns == 0:
            raise ValueError(
                f"X must have at least one column. Got a {type(table.X).__name__} without columns: "
                f"0 feature(s) (shape={table.rows.shape}) while a minimum of 1 is required."
            )
        self.frame = table.frame
        self.names = table.names
        self.form = table.describe()
        self.kinds: list[str] = []
        self.levels: dict[int, list[Any]] = {}
        self.rare: dict[int, list[Any]] = {}
        self.rare_counts: dict[int, list[int]] = {}
        self.integers: dict[int, list[int]] = {}
        self.whole: list[int] = []
        self.uninformative: list[str] = []
        self.missing_markers: dict[str, str] = {}
        chosen = table.categorical_mask(categorical_features)
        for i, column in enumerate(table.columns()):
            is_text = column.kind == "category"
            if chosen is None and is_text and not is_category(column.dtype):
                self._find_missing_markers(column)
            if is_text if chosen is None else chosen[i]:
                reason = self._learn_category(i, column)
            else:
                reason = self._learn_numbers(i, column.as_numbers())
            if reason and column.name not in self.missing_markers:
                self.uninformative.append(f"{column.name} ({reason})")

    @property
    def n_levels(self) -> list[int]:
        """Number of levels of each column; 0 for numbers."""
        return [
            len(self.levels[i]) + (i in self.rare) if i in self.levels else 0
            for i in range(len(self.kinds))
        ]

    def use_as_pixels(self) -> None:
        """Use all columns as pixels of images, with a common range."""
        for name, kind in zip(self.names, self.kinds, strict=True):
            if kind in DATES:
                raise ValueError(
                    f"Column {name} holds values of the kind {kind!r}, but with image_shape all "
                    "columns of X are pixels, which must be numbers. Drop it."
                )
        self.whole = []
        ranges = np.array([values[:3] for values in self.integers.values()], dtype=object)
        for values in self.integers.values():
            low, high = ranges[:, 1].min(), ranges[:, 2].max()
            values[:3] = low if ranges[:, 0].any() else 0, low, high

    def warn_about_columns(self) -> None:
        """Warn about uninformative columns and about numbers that are read as categories."""
        if self.missing_markers:
            name, is_pandas = next(iter(self.missing_markers)), self.frame == "pandas"
            texts = (f"{name} ({text})" for name, text in self.missing_markers.items())
            numbers = (
                f"X[{name}] = pd.to_numeric(X[{name}], errors='coerce')"
                if is_pandas
                else f"X.with_columns(pl.col({name}).cast(pl.Float64, strict=False))"
            )
            warn_user(
                "Columns of X hold numbers as text and are treated as categories, because they "
                f"also hold other text: {', '.join(texts)}. If that marks missing values, convert "
                f"the columns to numbers first, as in {numbers}. If they are categories, the dtype "
                f"{'category' if is_pandas else 'Categorical'} silences this warning."
            )
        if self.uninformative:
            warn_user(
                "Columns of X seem to identify the rows or to hold text: "
                f"{', '.join(self.uninformative)}. Nothing can be learned from a value that occurs "
                "only once. Drop columns that identify rows, and convert text to numbers first "
                "(user guide, Text)."
            )

    def plain_state(self) -> dict[str, Any]:
        """Return the state for `from_plain_state`: strings, numbers, lists and dicts."""
        return {name: getattr(self, name) for name in _STATE}

    @classmethod
    def from_plain_state(cls, state: dict[str, Any]) -> TableColumns:
        """Restore the columns from a plain state, or raise ValueError if it is not valid."""
        columns = cls.__new__(cls)
        columns.__setstate__(state)
        return columns

    def __getstate__(self) -> dict[str, Any]:
        return self.plain_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        _check_state(state)
        vars(self).update(state)
        self.frame = None if self.form[0] == "array" else self.form[0]
        if self.frame is None:
            self.names = [str(i) for i in range(self.form[2])]
        else:
            self.names = [repr(name) for name in described_columns(self.form)[0]]

    def _find_missing_markers(self, column: Column) -> None:
        """Find text that may mark missing values among numbers written as text."""
        values = column.values[column.known].tolist()
        markers = _find_markers(values)
        if markers and len(values) >= MIN_ROWS:
            n_marked = sum(value in markers for value in values)
            self.missing_markers[column.name] = (
                f"{markers[0]!r} in {n_marked} of {len(values)} rows"
            )

    def _learn_category(self, i: int, column: Column) -> str:
        """Learn the levels of a category. Return why it is uninformative, otherwise ""."""
        if column.kind in DATES:
            raise ValueError(
                "The 'categorical_features' parameter of SGANClassifier must not name columns of "
                f"dates, times or durations. Got {self.names[i]}: omit it, so that it is used as a "
                "number, or convert it to a category first, such as the names of the months."
            )
        values = column.values[column.known].tolist()
        levels, rare, counts = _find_levels(values, self.names[i])
        self.kinds.append("category")
        self.levels[i] = levels
        if rare:
            self.rare[i], self.rare_counts[i] = rare, counts
        n_levels, n_rows = len(levels) + len(rare), len(values)
        if n_rows < MIN_ROWS or 2 * n_levels <= n_rows:
            return ""
        return f"a different value in {'each row' if n_levels == n_rows else 'most rows'}"

    def _learn_numbers(self, i: int, column: Column) -> str:
        """Learn the range of numbers. Return why they are uninformative, otherwise ""."""
        self.kinds.append(column.kind)
        values = column.values[column.known]
        if column.kind == "number":
            if self.frame is not None and (np.rint(values) == values).all():
                self.whole.append(i)
            return ""
        low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
        if column.kind in DATES:
            self.integers[i] = [low, low, high, _common_step(values, low, column.tick), column.tick]
            return ""
        # Floats represent integers beyond 2**53 exactly only as differences.
        origin = low if max(-low, high) > EXACT else 0
        self.integers[i] = [origin, low, high, 1, 1]
        return "a different integer in each row" if _is_identifier(values) else ""

    # --- conversion to numbers --------------------------------------------------------------------

    @property
    def has_origins(self) -> bool:
        """Whether any column has an origin other than zero."""
        dates = any(kind in DATES for kind in self.kinds)
        return dates or any(origin for origin, *_ in self.integers.values())

    def to_numbers(self, table: Table) -> np.ndarray:
        """Return numbers and codes of categories, with NaN for missing values.

        A category that the training rows did not contain counts as missing. Dates are counted from
        the earliest date of the training rows.
        """
        self._check_names(table)
        if not self.levels and not self.has_origins:
            ordinary = table.ordinary_numbers()
            if ordinary is not None:
                return ordinary
        numbers = np.full((table.rows.shape[0], len(self.kinds)), np.nan)
        for i, (kind, column) in enumerate(zip(self.kinds, table.columns(), strict=True)):
            column = column._replace(name=self.names[i])  # X may be an array
            if (kind in DATES or column.kind in DATES) and kind != column.kind:
                if column.known.any():
                    raise ValueError(
                        f"Column {column.name} has the dtype {column.dtype}, but in the "
                        f"training rows it held values of the kind {kind!r}. Convert it to that "
                        "dtype, for example with pandas.to_datetime or dt.tz_localize."
                    )
            elif kind == "category":
                numbers[:, i] = self._codes(i, column)
            else:
                column = column.as_numbers()
                numbers[column.known, i] = self._differences(i, column)[column.known]
        return numbers

    def codes(self, i: int) -> dict[Any, float]:
        """Return the code of each level of a category; rare levels share the last code."""
        codes = {level: float(code) for code, level in enumerate(self.levels[i])}
        return codes | dict.fromkeys(self.rare.get(i, []), float(len(codes)))

    def _codes(self, i: int, column: Column) -> np.ndarray:
        codes = np.full(len(column.values), np.nan)
        values, by_level = column.values[column.known], self.codes(i)
        precision = self._precision(column.dtype)
        if precision is not None:
            # 0.1 as float32 is the same level as 0.1 as float64.
            values = values.astype(precision)
            levels = np.array(list(by_level), dtype=precision).tolist()
            by_level = dict(zip(levels, by_level.values(), strict=True))
        found = np.array([by_level.get(value, np.nan) for value in values.tolist()])
        codes[column.known] = found
        unknown = values[np.isnan(found)].tolist()
        if 2 * len(unknown) > len(found) and self.levels[i] != NO_LEVELS:
            warn_user(
                f"Column {column.name} of X holds values that did not occur in the training rows "
                f"in {len(unknown)} of {len(found)} rows, such as {unknown[0]!r}; the training "
                f"rows held values such as {next(iter(by_level))!r}. Unknown values count as "
                "missing. Use the same type, spelling and capitalization as in the training rows."
            )
        return codes

    def _precision(self, dtype: Any) -> np.dtype | None:
        """Return the lower precision of the floats of X and the training rows, or None."""
        if self.frame is not None:
            return None
        dtypes = np.dtype(self.form[1]), dtype
        if not all(isinstance(dtype, np.dtype) and dtype.kind == "f" for dtype in dtypes):
            return None
        return min(dtypes, key=lambda dtype: dtype.itemsize)

    def _differences(self, i: int, column: Column) -> np.ndarray:
        """Return the distance of each value from the origin in steps, as float64."""
        if i not in self.integers:
            return column.values.astype(np.float64)
        origin, _, _, step, tick = self.integers[i]
        if column.kind == "number":
            return column.values - float(origin)
        # Convert from the steps of X to those of the training rows.
        start, remainder = divmod(origin * tick, column.tick)
        common = math.gcd(column.tick, step * tick)
        steps = difference(column.values, start) * (column.tick // common)
        return steps / (step * tick // common) - remainder / (step * tick)

    def _check_names(self, table: Table) -> None:
        """Raise ValueError if column names differ; scikit-learn only checks strings."""
        if self.frame is None or table.frame is None:
            return
        names, quotes = table.names, ("'", '"')
        if names != self.names and not any(
            all(name.startswith(quotes) for name in group) for group in (names, self.names)
        ):
            raise ValueError(
                "The feature names should match those that were passed during fit, in the same "
                f"order. They were {_shortened(self.names)}, and X has {_shortened(names)}. Select "
                "the columns in that order, or pass X.to_numpy() if only the names differ."
            )

    # --- conversion from numbers ------------------------------------------------------------------

    def to_original_form(self, numbers: np.ndarray, rng: np.random.RandomState) -> Any:
        """Return rows of numbers in the form of X: a frame with its dtypes, or an array."""
        columns = [self._decoded(numbers[:, i], i, rng) for i in range(len(self.kinds))]
        return self._as_array(columns) if self.frame is None else build_frame(self.form, columns)

    def _decoded(
        self, numbers: np.ndarray, i: int, rng: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of a column and the mask of those that are not missing."""
        known = ~np.isnan(numbers)
        if i in self.integers:
            origin, low, high, step, _ = self.integers[i]
            found = multiples(numbers[known] - float(low - origin), low, high, step)
            values = np.zeros(len(numbers), dtype=found.dtype)
            values[known] = found
            return values, known
        if self.kinds[i] == "number":
            return np.rint(numbers) if i in self.whole else numbers, known
        codes = numbers[known].astype(int)
        levels = as_objects(self.levels[i])
        values = np.full(len(numbers), None, dtype=object)
        if i in self.rare:
            shares = np.array(self.rare_counts[i]) / sum(self.rare_counts[i])
            drawn = rng.choice(as_objects(self.rare[i]), len(codes), p=shares)
            is_rare = codes == len(levels)
            values[known] = np.where(is_rare, drawn, levels[np.where(is_rare, 0, codes)])
        else:
            values[known] = levels[codes]
        return values, known

    def _as_array(self, columns: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        dtype = np.dtype(self.form[1])
        rows = np.empty((len(columns[0][0]), len(columns)), dtype)
        if dtype.kind not in "biufMm":
            rows = rows.astype(object)
        for i, (values, known) in enumerate(columns):
            if dtype.kind in "Mm":
                exact = "M8[D]" if np.datetime_data(dtype)[0] in ("M", "Y") else dtype
                values = np.where(known, values, np.iinfo(np.int64).min).view(exact)
            elif rows.dtype == object and not known.all() and self.kinds[i] != "category":
                values = np.where(known, values.astype(object), np.nan)
            rows[:, i] = values
        return rows


def _find_markers(values: list[Any]) -> list[str]:
    """Return text that may mark missing values among numbers, which may be written as text."""
    counts = Counter(values)
    markers = [value for value in counts if isinstance(value, str) and not _is_number(value)]
    n_marked = sum(counts[marker] for marker in markers)
    return markers if len(markers) <= MAX_MARKERS and 2 * n_marked < len(values) else []


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _find_levels(values: list[Any], name: str) -> tuple[list[Any], list[Any], list[int]]:
    """Return the sorted levels with separate codes, the rare levels, and the counts of these."""
    counts = {plain(level): count for level, count in Counter(values).items()}
    try:
        levels = sorted(counts or NO_LEVELS)
    except TypeError as error:
        markers = _find_markers(values)
        hint = (
            f" If {markers[0]!r} marks missing values, replace it with np.nan." if markers else ""
        )
        raise ValueError(
            f"The categories of column {name} have no common order. Convert them all to strings or "
            f"all to numbers.{hint}"
        ) from error
    if len(levels) <= MAX_LEVELS:
        return levels, [], []
    by_count = np.argsort([counts[level] for level in levels], kind="stable")
    is_rare = np.ones(len(levels), dtype=bool)
    is_rare[by_count[1 - MAX_LEVELS :]] = False
    rare = [level for level, flag in zip(levels, is_rare, strict=True) if flag]
    frequent = [level for level, flag in zip(levels, is_rare, strict=True) if not flag]
    return frequent, rare, [counts[level] for level in rare]


def _common_step(ticks: np.ndarray, low: int, tick: int) -> int:
    """Return the ticks in the longest unit of time of which all values are multiples."""
    since = ticks.astype(np.uint64) - np.uint64(low % 2**64)
    for unit in ("D", "h", "m", "s", "ms", "us", "ns", "ps", "fs"):
        step, remainder = divmod(UNITS[unit], tick)
        if remainder or not 1 < step < 2**63:
            continue
        if not (since % np.uint64(step)).any():
            return step
    return 1


def _is_identifier(values: np.ndarray) -> bool:
    """Return whether integers identify the rows.

    They do if all differ and are sorted, or if random integers of the same range would repeat:
    among n random integers from a range of m, about n**2 / (2 m) pairs are equal.
    """
    if len(values) < MIN_ROWS:
        return False
    if (values[1:] > values[:-1]).all() or (values[1:] < values[:-1]).all():
        return True
    size = int(values.max()) - int(values.min()) + 1
    n_needed = math.isqrt(2 * MIN_PAIRS * size) + 1
    # Check a part of the values first, since most measurements already repeat there.
    return n_needed <= len(values) <= size and all(
        len(np.unique(part)) == len(part) for part in (values[:n_needed], values)
    )


def _check_state(state: Any) -> None:
    """Raise ValueError if a state, which may come from a file, is not valid."""
    try:
        valid = set(state) == set(_STATE) and _is_valid(**state)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"The columns of the table are not valid. {error}") from error
    if not valid:
        raise ValueError("The columns of the table are not valid.")


def _is_valid(
    form: list[Any],
    kinds: list[str],
    levels: dict[int, list[Any]],
    rare: dict[int, list[Any]],
    rare_counts: dict[int, list[int]],
    integers: dict[int, list[int]],
    whole: list[int],
) -> bool:
    if form[0] == "array":
        _, name, n_columns = form
        column_numpy_dtype(name)
    else:
        n_columns = len(described_columns(form)[1])
    categories = {i for i, kind in enumerate(kinds) if kind == "category"}
    counted = {i for i, kind in enumerate(kinds) if kind in ("integer", *DATES)}
    numbers = {i for i, kind in enumerate(kinds) if kind == "number"}
    return (
        type(n_columns) is int
        and n_columns == len(kinds) == len(numbers) + len(categories) + len(counted)
        and set(levels) == categories
        and set(integers) == counted
        and set(whole) <= numbers
        and set(rare) == set(rare_counts) <= set(levels)
        and all(_are_levels(part) and len(part) <= MAX_LEVELS for part in levels.values())
        and all(_are_levels(part) and len(part) == len(rare_counts[i]) for i, part in rare.items())
        and all(type(n) is int and n > 0 for counts in rare_counts.values() for n in counts)
        and all(_is_range(*values) for values in integers.values())
    )


def _are_levels(levels: Any) -> bool:
    plain = isinstance(levels, list) and all(
        is_plain(level) and level is not None and level == level for level in levels
    )
    return plain and len(set(levels)) == len(levels) > 0 and sorted(levels) == levels


def _is_range(origin: int, low: int, high: int, step: int, tick: int) -> bool:
    if any(type(number) is not int for number in (origin, low, high, step, tick)):
        return False
    fits = -(2**63) <= low <= high < (2**63 if low < 0 else 2**64) and origin in (0, low)
    exact = origin == low or max(-low, high) <= EXACT
    return fits and exact and 0 < step < 2**63 and 0 < tick <= UNITS["W"] * 10**9


def _shortened(names: list[str]) -> str:
    return f"[{', '.join(names[:5])}{', ...' * (len(names) > 5)}]"
