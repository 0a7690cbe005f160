"""scripts/lint_openapi.sh: it finds flaws, and without Node it is skipped, but not in CI."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.optional_tools import installed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the script, its configuration and the checked files."""
    for name in ("scripts", "openapi", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "tools/openapi_lint", tmp_path / "tools/openapi_lint")
    return tmp_path


def lint(clone: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "scripts/lint_openapi.sh"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


OPENAPI = "openapi/product-api.yaml"


@pytest.mark.parametrize(
    ("file_name", "rule", "line"),
    [
        (OPENAPI, "operation-tags", "      tags: [products]\n"),
        (OPENAPI, "owasp:api4:2023-string-limit", "      maxLength: 37\n"),
        (OPENAPI, "info-license-strict", "    identifier: LicenseRef-All-Rights-Reserved\n"),
        ("schemas/product-events.asyncapi.yaml", "asyncapi-3-document", "    action: send\n"),
    ],
    ids=["spectral", "owasp", "redocly", "asyncapi"],
)
def test_missing_line_is_found(clone: Path, file_name: str, rule: str, line: str) -> None:
    (clone / ".local").mkdir()
    (clone / ".local/openapi_lint").symlink_to(installed("openapi-lint"))
    file = clone / file_name
    file.write_text(file.read_text().replace(line, "", 1))

    run = lint(clone)

    assert run.returncode == 1
    assert rule in run.stdout + run.stderr


@pytest.mark.parametrize(("ci", "exit_code"), [("", 0), ("true", 1)])
def test_missing_node_is_reported(clone: Path, ci: str, exit_code: int) -> None:
    programs = clone / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "env"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)

    run = lint(clone, PATH=str(programs), CI=ci)

    assert run.returncode == exit_code
    message = run.stderr if ci else run.stdout
    assert message.startswith(
        "Node was not found, so the OpenAPI and AsyncAPI files were not checked: install"
    )
    assert message.count("\n") == 1
