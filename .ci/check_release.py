"""Build the package, and check everything of a release that needs no network.

    python .ci/check_release.py
    python .ci/check_release.py --tag v0.1.0 --output dist

With a tag, the version must be that of the tag, and the changelog must have a section for it.
Without one, the distributions are built in a temporary folder and deleted.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
IN_SDIST = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CODE_OF_CONDUCT.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "pyproject.toml",
)


def check_versions(tag: str | None) -> str:
    """Return the version of the package, or exit if other files have another one."""
    version = _found(r'^__version__ = "(.+)"$', ROOT / "sgan_sklearn" / "__init__.py")
    cited = _found(r"^version: (.+)$", ROOT / "CITATION.cff")
    if cited != version:
        raise SystemExit(f"CITATION.cff has the version {cited}, and the package {version}.")
    section = "Unreleased" if tag is None and "dev" in version else version
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## \[{re.escape(section)}\]", changelog, re.MULTILINE):
        raise SystemExit(f"CHANGELOG.md has no section [{section}].")
    if tag is not None and "dev" in version:
        raise SystemExit(f"A release needs a version without dev, not {version}.")
    if tag is not None and tag != f"v{version}":
        raise SystemExit(f"The tag {tag} must be v{version}, from the version of the package.")
    return version


def check_contents(wheel: Path, sdist: Path) -> None:
    """Exit unless the wheel holds the package alone, and the sources all that tests need."""
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "sgan_sklearn").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    in_wheel = {name for name in names if ".dist-info/" not in name}
    if in_wheel != package:
        raise SystemExit(f"The wheel and the package differ in {sorted(in_wheel ^ package)}.")
    if not any(name.endswith("licenses/LICENSE") for name in names):
        raise SystemExit("The wheel has no license.")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        description = archive.read(metadata).decode()
    if relative := re.findall(r"\]\((?!https:|#)([^)]+)\)", description):
        raise SystemExit(f"The description for PyPI has relative links: {relative}.")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    tests = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("*.py")}
    if missing := (package | tests | set(IN_SDIST)) - in_sdist:
        raise SystemExit(f"The source distribution lacks {sorted(missing)}.")


def check_installed(wheel: Path, version: str) -> None:
    """Run the smoke test with the wheel, and with the dependencies of this environment."""
    with TemporaryDirectory() as folder:
        _run("pip", "install", "-q", "--no-deps", "--target", folder, str(wheel))
        # First on the path, before an editable installation of the repository.
        environment = {**os.environ, "PYTHONPATH": folder}
        command = [sys.executable, str(ROOT / ".ci" / "smoke_test.py"), version]
        subprocess.run(command, cwd=folder, env=environment, check=True)


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=True)


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
    if match is None:
        raise SystemExit(f"{path.name} has no version.")
    return match[1]


def _check(tag: str | None, folder: Path) -> None:
    version = check_versions(tag)
    _run("build", "--no-isolation", "--outdir", str(folder))
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    _run("twine", "check", "--strict", str(wheel), str(sdist))
    _run("check_wheel_contents", "--toplevel", "sgan_sklearn", str(wheel))
    check_contents(wheel, sdist)
    check_installed(wheel, version)


def main() -> None:
    """Read the options, and check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tag", help="tag of the release, such as v0.1.0")
    parser.add_argument("--output", type=Path, help="empty folder for the distributions")
    options = parser.parse_args()
    if options.output is not None:
        if options.output.exists() and any(options.output.iterdir()):
            raise SystemExit(f"The folder {options.output} of --output must be empty.")
        _check(options.tag, options.output.resolve())
        return
    with TemporaryDirectory() as folder:
        _check(options.tag, Path(folder))


if __name__ == "__main__":
    main()
