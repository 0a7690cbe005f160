"""Files that survive a crash and a full disk: a new file replaces the old one only when complete.

The engine's environment imports this module too, so it needs the standard library only.
"""

import os
import shlex
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from local.errors import LocalError

_OWNER_ONLY = 0o600


class StateError(LocalError):
    """The saved state cannot be used; nothing may be written over it."""


def reason_of(error: Exception) -> str:
    """Return the cause of a failed read or write in a few words."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def write_file(path: Path, content: bytes) -> None:
    """Create or replace a file that only the user can read; any failure keeps the old file.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        _write_new(new, content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


class StateFolder:
    """The saved state of each service as `NAME.json`, with the state before it as a second file.

    Args:
        folder: it is created at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unsaved_mark = folder / "unsaved"

    @property
    def has_unsaved_changes(self) -> bool:
        """Whether changes may be missing: a run is in progress, or ended without its last save."""
        return self._unsaved_mark.exists()

    def begin(self) -> None:
        """Record that a run is in progress.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._unsaved_mark.touch()
        _sync_folder(self.folder)

    def end(self) -> None:
        """Record that a run has saved all its changes."""
        self._unsaved_mark.unlink(missing_ok=True)

    def file_of(self, service: str) -> Path:
        """Return the file of a service."""
        return self.folder / f"{service}.json"

    def read[State](self, service: str, parse: Callable[[str], State]) -> State | None:
        """Return the state of a service; None if nothing was saved.

        Args:
            service: its name.
            parse: converts the text of the file; any exception means that the file is damaged.

        Raises:
            StateError: the file is missing, damaged or cannot be read.
        """
        file, previous = self.file_of(service), self._previous(service)
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            if not previous.exists():
                return None
            raise StateError(
                f"The state file {file} is missing: {_way_back(file, previous)}, "
                f"or remove {previous} to start from nothing."
            ) from None
        except OSError as error:
            raise StateError(
                f"The state file {file} cannot be read ({reason_of(error)}): "
                "make it a file that you can read, then start again."
            ) from error
        try:
            return parse(content.decode())
        except Exception as error:
            next_step = "move it away to start from nothing"
            if previous.exists():
                way_back = _way_back(file, previous)
                next_step = f"{way_back}, or move both files away to start from nothing"
            raise StateError(f"The state file {file} is damaged: {next_step}.") from error

    def has(self, service: str, content: bytes) -> bool:
        """Return whether the state of a service is already this one."""
        try:
            return self.file_of(service).read_bytes() == content
        except OSError:
            return False

    def write(self, contents: Mapping[str, bytes]) -> None:
        """Replace the states of these services, all or none, and keep the states before them.

        Raises:
            OSError: a file cannot be written; no state has changed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        new = {service: self.folder / f"{service}.json.new" for service in contents}
        try:
            for service, content in contents.items():
                _write_new(new[service], content)
            for service in contents:
                self._keep_previous(service)
        except OSError:
            for file in new.values():
                file.unlink(missing_ok=True)
            raise
        for service, file in new.items():
            file.replace(self.file_of(service))
        _sync_folder(self.folder)

    def clear(self) -> None:
        """Remove all states; the folder keeps files that are not states.

        Raises:
            OSError: a file cannot be removed.
        """
        # An older state goes before the current one, so that a stop in between leaves the latter.
        for file in sorted(self.folder.glob("*.json*"), reverse=True):
            file.unlink()
        self.end()

    def last_good(self) -> str:
        """Return which state a restart would read, as the end of a sentence."""
        saved = max(self.folder.glob("*.json"), key=_time_of, default=None)
        if saved is None:
            return f"{self.folder} has no earlier state"
        return f"the last good state is {saved} of {_clock(saved)}"

    def _previous(self, service: str) -> Path:
        return self.folder / f"{service}.json.previous"

    def _keep_previous(self, service: str) -> None:
        """Give the current file a second name, so that a crash at any line leaves a state."""
        file, spare = self.file_of(service), self.folder / f"{service}.json.spare"
        if not file.exists():
            return
        spare.unlink(missing_ok=True)
        try:
            spare.hardlink_to(file)
        except OSError:  # a file system without hard links
            shutil.copyfile(file, spare)
        spare.replace(self._previous(service))


def _write_new(file: Path, content: bytes) -> None:
    """Write a file completely to the disk."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Write the new names of files to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _way_back(file: Path, previous: Path) -> str:
    command = shlex.join(["mv", str(previous), str(file)])
    return f"run {command} to go back to the state of {_clock(previous)}"


def _clock(file: Path) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(_time_of(file)))


def _time_of(file: Path) -> float:
    return file.stat().st_mtime
