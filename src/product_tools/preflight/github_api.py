"""Reads a repository's settings by GitHub's REST API, with the caller's token."""

import os
import re
import shutil
import subprocess
from functools import cached_property
from http import HTTPStatus
from typing import Any

import urllib3

from product_tools.preflight.checks import NotCheckedError
from product_tools.repository import REPOSITORY

_SIGN_IN = "set GH_TOKEN to a token that may read the repository's settings, or run gh auth login"
_NAME = re.compile(r"github\.com[:/](?P<repository>[\w.-]+/[\w.-]+?)(\.git)?/?\s*$")
_COMMAND_SECONDS = 10
_TIME_OUT = urllib3.Timeout(connect=4, read=8)


class GitHub:
    """The repository of this clone, or of GITHUB_REPOSITORY.

    Raises:
        NotCheckedError: GitHub cannot be asked, in each method and property.
    """

    def __init__(self) -> None:
        self._http = urllib3.PoolManager(timeout=_TIME_OUT, retries=False)
        self._responses: dict[str, Any] = {}

    @cached_property
    def repository(self) -> str:
        """The name of the repository, such as `owner/name`."""
        if name := os.environ.get("GITHUB_REPOSITORY"):
            return name
        match = _NAME.search(_output_of("git", "remote", "get-url", "origin"))
        if match is None:
            raise NotCheckedError(
                "the repository is not known: origin is not on GitHub",
                "set GITHUB_REPOSITORY to OWNER/NAME",
            )
        return match["repository"]

    @cached_property
    def subject_prefix(self) -> str:
        """The start of `sub` in the tokens of the repository's jobs.

        GitHub Docs, "REST API endpoints for GitHub Actions OIDC". Newer repositories have ids in
        it; only GitHub itself knows which form it sends.
        """
        template = self.get("/actions/oidc/customization/sub") or {}
        if not template.get("use_default", True) and template.get("include_claim_keys"):
            raise NotCheckedError(
                f"the repository has its own template: {template['include_claim_keys']}",
                "compare the trust policies with the subject of a job by hand",
            )
        return str(template.get("sub_claim_prefix") or f"repo:{self.repository}")

    def get(self, path: str) -> Any:  # noqa: ANN401 (JSON has no static shape)
        """Return the JSON below /repos/OWNER/NAME, or None if GitHub has no such thing."""
        if self._cached("") is None:  # GitHub hides what the token may not see
            raise NotCheckedError(f"the token does not see {self.repository}", _SIGN_IN)
        return self._cached(path)

    def _cached(self, path: str) -> Any:  # noqa: ANN401 (JSON has no static shape)
        if path not in self._responses:
            self._responses[path] = self._get(path)
        return self._responses[path]

    @cached_property
    def _token(self) -> str:
        token = os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN")
        if not token and shutil.which("gh"):
            token = _output_of("gh", "auth", "token").strip()
        if not token:
            raise NotCheckedError("no token for GitHub", _SIGN_IN)
        return token

    def _get(self, path: str) -> Any:  # noqa: ANN401 (JSON has no static shape)
        base_url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        url = f"{base_url}/repos/{self.repository}{path}"
        try:
            response = self._http.request("GET", url, headers=headers)
            body = response.json() if response.status == HTTPStatus.OK else None
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise NotCheckedError(f"GitHub cannot be reached: {error}", "run it again") from error
        match response.status:
            case HTTPStatus.OK | HTTPStatus.NOT_FOUND:
                return body
            case HTTPStatus.UNAUTHORIZED:
                raise NotCheckedError("GitHub rejects the token", _SIGN_IN)
            case HTTPStatus.FORBIDDEN:
                raise NotCheckedError(f"not allowed to look: {path or '/'}", _SIGN_IN)
        raise NotCheckedError(f"GitHub returned {response.status}", "run it again")


def _output_of(*command: str) -> str:
    """Return the output of a command; nothing if it fails."""
    try:
        completed = subprocess.run(
            command,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout if completed.returncode == 0 else ""
