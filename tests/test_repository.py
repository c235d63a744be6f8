"""The files around the package agree with each other."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / ".github" / "workflows"

pytestmark = pytest.mark.skipif(
    not WORKFLOWS.exists(), reason="a source distribution has no workflows"
)


@pytest.fixture
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture
def check_release(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    return importlib.import_module("check_release")


def test_actions_of_the_workflows_cannot_change():
    uses = [
        line.split("uses:")[1].strip()
        for path in WORKFLOWS.glob("*.yml")
        for line in path.read_text("utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(uses) > 10
    for action in uses:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_python_versions_of_classifiers_workflows_and_readme(project):
    versions = [
        line.rpartition(" ")[2]
        for line in project["classifiers"]
        if re.search(r":: Python :: 3\.\d+$", line)
    ]
    assert project["requires-python"] == f">={versions[0]}"
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "%20%7C%20".join(versions) in readme
    for name in ("ci", "release"):
        workflow = (WORKFLOWS / f"{name}.yml").read_text("utf-8")
        rows = [line for line in workflow.splitlines() if re.search(r"\bpython: ", line)]
        tested = set(re.findall(r'"(3\.\d+)"', " ".join(rows)))
        assert tested == set(versions), name


def test_conda_recipe_has_the_requirements_of_the_package(project):
    recipe = (ROOT / ".ci" / "conda" / "recipe.yaml").read_text("utf-8")
    wanted = {
        row.replace("torch>", "pytorch>").replace(">=", " >=") for row in project["dependencies"]
    }
    assert project["requires-python"] in recipe.replace('python_min: "', ">=")
    run = recipe.split("  run:\n")[1].split("\n\n")[0]
    listed = {line.strip().removeprefix("- ") for line in run.splitlines()}
    assert wanted == {line for line in listed if not line.startswith("python ")}


def test_version_of_a_release(check_release, monkeypatch, tmp_path):
    assert check_release.check_versions(None)
    (tmp_path / "sgan_sklearn").mkdir()
    init, cited = tmp_path / "sgan_sklearn" / "__init__.py", tmp_path / "CITATION.cff"
    init.write_text('__version__ = "0.1.0"\n')
    cited.write_text("version: 0.1.0\n")
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("## [Unreleased]\n")
    monkeypatch.setattr(check_release, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"no section \[0\.1\.0\]"):
        check_release.check_versions(None)
    with pytest.raises(SystemExit, match=r"no section \[0\.1\.0\]"):
        check_release.check_versions("v0.1.0")
    changelog.write_text("## [0.1.0] - 2027-01-01\n")
    assert check_release.check_versions("v0.1.0") == check_release.check_versions(None) == "0.1.0"
    with pytest.raises(SystemExit, match=r"tag v0\.2\.0 must be v0\.1\.0"):
        check_release.check_versions("v0.2.0")
    init.write_text('__version__ = "0.1.0.dev0"\n')
    cited.write_text("version: 0.1.0.dev0\n")
    changelog.write_text("## [Unreleased]\n## [0.1.0.dev0]\n")
    assert check_release.check_versions(None) == "0.1.0.dev0"
    with pytest.raises(SystemExit, match="without dev"):
        check_release.check_versions("v0.1.0.dev0")
    cited.write_text("version: 0.1.1\n")
    with pytest.raises(SystemExit, match=r"CITATION\.cff has the version 0\.1\.1"):
        check_release.check_versions("v0.1.0")
