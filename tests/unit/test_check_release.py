"""The release checks: only a confirmed release tag on main goes to production."""

import subprocess
from pathlib import Path

import pytest

import check_release

REF = "refs/tags/v1.2.0"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the tagged release 1.2.0 on main."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 (2026-01-31)\n")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "chore: release 1.2.0")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(tmp_path, "tag", "v1.2.0")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def check(repository: Path, ref: str = REF, confirmation: str = "DEPLOY-TO-PROD") -> int:
    return check_release.main(["--ref", ref, "--confirmation", confirmation], repository)


def test_confirmed_release_on_main_passes(repository: Path) -> None:
    assert check(repository) == 0


@pytest.mark.parametrize("confirmation", ["", "deploy-to-prod", "DEPLOY-TO-PROD ", "yes"])
def test_inexact_confirmation_is_rejected(
    repository: Path, confirmation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(repository, confirmation=confirmation) == 1
    assert "type exactly that" in capsys.readouterr().err


@pytest.mark.parametrize(
    "ref",
    ["refs/heads/main", "refs/tags/1.2.0", "refs/tags/v1.2", "refs/tags/v1.2.0-rc.1", "v1.2.0"],
)
def test_other_ref_than_release_tag_is_rejected(
    repository: Path, ref: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(repository, ref) == 1
    assert f"{ref} is not a release tag" in capsys.readouterr().err


def test_tag_of_another_version_is_rejected(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(repository, "tag", "v1.3.0")

    assert check(repository, "refs/tags/v1.3.0") == 1

    errors = capsys.readouterr().err
    assert "pyproject.toml says 1.2.0" in errors
    assert "CHANGELOG.md has no section 1.3.0" in errors


def test_tag_outside_main_is_rejected(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "fix: not merged")
    git(repository, "tag", "--force", "v1.2.0")

    assert check(repository) == 1
    assert "is not on main" in capsys.readouterr().err


def test_all_errors_are_reported_together(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(repository, "refs/heads/main", "no") == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
