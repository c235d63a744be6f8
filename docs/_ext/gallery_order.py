"""The order of the examples in the gallery: what a newcomer wants first comes first."""

ORDER = (
    "digits_few_labels",
    "does_it_help",
    "rows_to_label",
    "probabilities",
    "wrong_labels",
    "two_moons_over_time",
    "compare_label_spreading",
    "grid_search",
    "census_dataframe",
    "raw_table_skrub",
    "generated_by_class",
    "text_newsgroups",
    "photographs",
    "audio_digits",
    "novelty_detection",
    "custom_objective",
    "custom_network",
)


class Order:
    """Key that sorts the files of examples; a new one comes last until it has its place."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return the place of a file."""
        name = filename.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER)), name
