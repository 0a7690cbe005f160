"""Files that survive a crash and a full disk: replacement, the state before it, and messages."""

import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.state_files import StateError, StateFolder, write_file


@contextmanager
def _file_limit(limit: int) -> Iterator[None]:
    """Let a write fail after `limit` bytes of a file, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_written_file_is_readable_only_for_user(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write_file(tmp_path / "key", content)

    assert (tmp_path / "key").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert _names(tmp_path) == ["key"]


@pytest.mark.parametrize("limit", [0, 10])
def test_write_on_full_disk_keeps_old_file(tmp_path: Path, limit: int) -> None:
    write_file(tmp_path / "key", b"old")
    with _file_limit(limit), pytest.raises(OSError, match="File too large"):
        write_file(tmp_path / "key", b"x" * 1000)

    assert (tmp_path / "key").read_bytes() == b"old"
    assert _names(tmp_path) == ["key"]


def test_first_write_on_full_disk_leaves_no_file(tmp_path: Path) -> None:
    with _file_limit(0), pytest.raises(OSError, match="File too large"):
        write_file(tmp_path / "key", b"new")

    assert _names(tmp_path) == []


def test_clear_removes_states_and_no_other_file(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.begin()
    for content in (b"1", b"2"):
        state.write({"tables": content})
    (state.folder / "notes.txt").touch()
    state.clear()

    assert _names(state.folder) == ["notes.txt"]
    assert not state.has_unsaved_changes
    assert state.read("tables", int) is None


def test_state_is_read_as_written(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    assert state.read("tables", str) is None
    state.write({"tables": b"1"})

    assert state.read("tables", int) == 1
    assert state.has("tables", b"1")
    assert not state.has("tables", b"2")
    assert not state.has("queues", b"")


def test_each_write_keeps_the_state_before_it(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    for content in (b"1", b"2", b"3"):
        state.write({"tables": content})

    assert _names(tmp_path) == ["tables.json", "tables.json.previous"]
    assert (tmp_path / "tables.json").read_bytes() == b"3"
    assert (tmp_path / "tables.json.previous").read_bytes() == b"2"


def test_state_is_kept_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_link: Path, _target: Path) -> None:
        raise PermissionError  # as on FAT

    monkeypatch.setattr(Path, "hardlink_to", fail)
    test_each_write_keeps_the_state_before_it(tmp_path)


def test_write_after_crash_ignores_unfinished_files(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.write({"tables": b"1"})
    (tmp_path / "tables.json.new").write_bytes(b"unfinished")
    (tmp_path / "tables.json.spare").hardlink_to(tmp_path / "tables.json")
    assert state.read("tables", int) == 1
    state.write({"tables": b"2"})

    assert _names(tmp_path) == ["tables.json", "tables.json.previous"]
    assert (tmp_path / "tables.json.previous").read_bytes() == b"1"


def test_write_on_full_disk_changes_no_state(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.write({"a": b"1", "b": b"1"})
    with _file_limit(10), pytest.raises(OSError, match="File too large"):
        state.write({"a": b"2", "b": b"2" * 1000})

    assert (state.read("a", int), state.read("b", int)) == (1, 1)
    assert _names(tmp_path) == ["a.json", "b.json"]


def test_damaged_state_is_one_sentence(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    file = tmp_path / "tables.json"
    file.write_bytes(b"\xff")

    with pytest.raises(StateError) as error:
        state.read("tables", int)
    assert str(error.value) == (
        f"The state file {file} is damaged: move it away to start from nothing."
    )


def test_damaged_state_names_the_state_before_it(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    file = tmp_path / "tables.json"
    state.write({"tables": b"1"})
    state.write({"tables": b"damaged"})

    with pytest.raises(StateError) as error:
        state.read("tables", int)
    assert str(error.value).startswith(
        f"The state file {file} is damaged: run mv {file}.previous {file} to go back to the state "
    )
    assert str(error.value).endswith(", or move both files away to start from nothing.")


def test_missing_state_names_the_state_before_it(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    file = tmp_path / "tables.json"
    (tmp_path / "tables.json.previous").write_bytes(b"1")

    with pytest.raises(StateError) as error:
        state.read("tables", int)
    assert str(error.value).startswith(f"The state file {file} is missing: run mv {file}.previous ")
    assert str(error.value).endswith(f", or remove {file}.previous to start from nothing.")


def test_unreadable_state_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tables.json").mkdir()

    with pytest.raises(StateError) as error:
        StateFolder(tmp_path).read("tables", int)
    assert str(error.value) == (
        f"The state file {tmp_path / 'tables.json'} cannot be read (Is a directory): "
        "make it a file that you can read, then start again."
    )


def test_run_without_end_has_unsaved_changes(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    assert not state.has_unsaved_changes
    state.begin()
    assert StateFolder(tmp_path / "state").has_unsaved_changes
    state.end()

    assert not state.has_unsaved_changes


def test_last_good_state_is_the_newest_file(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    assert state.last_good() == f"{tmp_path} has no earlier state"
    state.write({"tables": b"1"})

    assert state.last_good().startswith(f"the last good state is {tmp_path / 'tables.json'} of 2")
