"""The option --help of every command in `scripts/`."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMANDS = sorted(path.stem for path in SCRIPTS.glob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_prints_usage_and_exits(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{command}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(command).main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")
