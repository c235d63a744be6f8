"""Join the two pictures of the demo to that of the README: run it after `make demo`."""

from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
OUTPUT = DOCS.parent / "examples" / "output"


def main() -> None:
    left = Image.open(OUTPUT / "digits_learning_curve.png").convert("RGB")
    right = Image.open(OUTPUT / "digits_generated.png").convert("RGB")
    joined = Image.new("RGB", (left.width + right.width, left.height), "white")
    joined.paste(left, (0, 0))
    joined.paste(right, (left.width, (left.height - right.height) // 2))
    joined.quantize(64).save(DOCS / "_static" / "readme.png", optimize=True)


if __name__ == "__main__":
    main()
