"""Runs every command of docs/admin.md, on two local servers that stand for DEV and PROD."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import seed_products
from product_tools.repository import REPOSITORY
from tests.support.local_process import local_server

GUIDE = (REPOSITORY / "docs" / "admin.md").read_text(encoding="utf-8")
SECTIONS = dict(
    section.split("\n", 1) for section in GUIDE.split("\n## ")[1:]
)  # by heading, without the introduction


def commands_in(heading: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", SECTIONS[heading], re.MULTILINE | re.DOTALL)
    return "".join(blocks).splitlines()


CATALOGUE = ".venv/bin/python scripts/catalogue.py"
SET_BASE_URL, SET_API_KEY, SHOW = commands_in("Before you start")


class Desk:
    """The folder and the shell variables of an admin; the API is DEV.

    Args:
        folder: holds the files that the commands write.
        urls: the API of each environment, `DEV` and possibly `PROD`.
    """

    def __init__(self, folder: Path, urls: Mapping[str, str]) -> None:
        self.folder = folder
        self.urls = urls

    def run(self, command: str, *, exit_code: int = 0) -> str:
        """Run a command of the guide, and return its output with single spaces."""
        set_base_url = SET_BASE_URL.replace("http://127.0.0.1:8000/v1.0", self.urls["DEV"])
        completed = subprocess.run(
            ["bash", "-euc", f"{set_base_url}\n{SET_API_KEY}\n{command}"],
            cwd=self.folder,
            env={
                **{name: os.environ[name] for name in os.environ if name != "API_KEY"},
                **{f"{name}_URL": url for name, url in self.urls.items()},
                "COLUMNS": "999",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == exit_code, completed.stdout + completed.stderr
        return re.sub(" +", " ", completed.stdout)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a text that a file has once."""
        path = self.folder / name
        text = path.read_bytes().decode()
        assert text.count(old) == 1
        path.write_bytes(text.replace(old, new).encode())


@contextmanager
def desk_with(folder: Path, *others: str) -> Iterator[Desk]:
    """A clone of the repository, and servers with the five plans for DEV and other environments."""
    for name in (".venv", "scripts"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / ".local").mkdir()
    data_dir = folder / ".local" / "data"
    with ExitStack() as servers:
        dev = servers.enter_context(local_server(data_dir, API_KEY=""))
        key = (data_dir / "api-key").read_text()
        urls = {"DEV": f"{dev.address}/v1.0"}
        for name in others:
            server = servers.enter_context(local_server(folder / name, API_KEY=key))
            urls[name] = f"{server.address}/v1.0"
        for url in urls.values():
            assert seed_products.main(["--base-url", url, "--api-key", key]) == 0
        yield Desk(folder, urls)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that tests share; each leaves the five plans active, with their prices."""
    with desk_with(tmp_path_factory.mktemp("clone")) as shared:
        yield shared


@pytest.fixture
def desk_with_prod(tmp_path: Path) -> Iterator[Desk]:
    with desk_with(tmp_path, "PROD") as own:
        yield own


def test_guide_begins_with_the_catalogue(desk: Desk) -> None:
    assert "Products: 5 active." in desk.run(SHOW)


def test_price_is_changed_as_in_guide(desk: Desk) -> None:
    export, diff, try_load, load = commands_in("Change a price")
    expected = re.findall(r"```text\n(.*?)\n```", SECTIONS["Change a price"])

    desk.run(export)
    desk.edit("catalogue.yaml", "price: 1000\n", "price: 1299\n")
    assert expected[0] in desk.run(diff, exit_code=1)
    assert "4 unchanged, 1 would be updated." in desk.run(try_load)
    assert "1 updated, 4 unchanged." in desk.run(load)
    assert "No difference." in desk.run(diff)
    desk.edit("catalogue.yaml", "price: 1299\n", "price: 1000\n")
    desk.run(load)


def test_plan_is_retired_and_restored_as_in_guide(desk: Desk) -> None:
    retire, show_deleted, restore = commands_in("Retire a plan, and bring it back")

    before = desk.run(show_deleted)
    assert "PROD-004 │ Premium │ retired" in desk.run(retire)
    assert "Products: 4 active, 1 retired." in desk.run(show_deleted)
    assert "PROD-004 │ Premium │ restored" in desk.run(restore)
    assert desk.run(show_deleted) == before


def test_environments_are_compared_and_promoted_as_in_guide(desk_with_prod: Desk) -> None:
    desk = desk_with_prod
    [compare] = commands_in("Compare DEV with PROD")
    export, diff, try_load, load = commands_in("Move a catalogue from DEV to SIT to PROD")
    desk.run(f"{CATALOGUE} retire PROD-005")
    desk.run(f'{CATALOGUE} retire PROD-003 --base-url "$PROD_URL"')
    desk.run(f"{CATALOGUE} export new.yaml")
    desk.edit("new.yaml", "PROD-001", "PROD-NEW")
    desk.edit("new.yaml", "price: 1000\n", "price: 1299\n")
    desk.run(f"{CATALOGUE} load new.yaml")

    differences = desk.run(compare, exit_code=1)
    assert "PROD-002 │ Basic │ price 1000 → 1299" in differences
    assert "PROD-003 │ Standard │ retired there" in differences
    assert "PROD-005 │ Enterprise │ only there" in differences
    assert "PROD-NEW │ Entry │ only here" in differences
    assert "Differences: 4." in differences

    desk.run(export)
    assert "Differences: 4." in desk.run(diff, exit_code=1)
    assert "1 would be created, 1 would be updated, 1 failed." in desk.run(try_load, exit_code=1)
    desk.run(f'{CATALOGUE} restore PROD-003 --base-url "$PROD_URL"')
    assert "1 created, 1 updated, 3 unchanged." in desk.run(load)
    assert "Differences: 1." in desk.run(compare, exit_code=1)


def test_spreadsheet_is_edited_as_in_guide(desk: Desk) -> None:
    export, diff, try_load, load = commands_in("Work in a spreadsheet")

    desk.run(export)
    assert "No difference." in desk.run(diff)
    desk.edit("catalogue.csv", "1 mailbox|", "2 mailboxes|+27 11 support|")
    assert "+27 11 support" in desk.run(diff, exit_code=1)
    assert "1 would be updated." in desk.run(try_load)
    assert "1 updated" in desk.run(load)
    assert "No difference." in desk.run(diff)


def test_every_section_with_commands_is_run() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    headings = [heading for heading in SECTIONS if commands_in(heading)]
    assert [name for name in headings if f'commands_in("{name}")' not in tests] == []
