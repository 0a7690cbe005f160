"""A repository's settings on a stub of GitHub's REST API, in the form of GitHub's own responses."""

from collections.abc import Iterable

from tests.support.stub_server import StubServer

REPOSITORY = "owner/catalogue"
PREFIX = "repo:owner@17/catalogue@42"


class GitHubSettings:
    """The settings of one repository, which the token of the caller sees.

    Args:
        stub: the server, without an engine.
    """

    def __init__(self, stub: StubServer) -> None:
        self.stub = stub
        self.respond("", {"full_name": REPOSITORY})
        template = {"use_default": True, "use_immutable_subject": True, "sub_claim_prefix": PREFIX}
        self.respond("/actions/oidc/customization/sub", template)

    def respond(self, path: str, body: object, status: int = 200) -> None:
        """Give a path below /repos/OWNER/NAME a response."""
        self.stub.respond(f"GET /repos/{REPOSITORY}{path}", body, status)

    def add_environment(
        self,
        name: str,
        refs: Iterable[str] = (),
        *,
        reviewers: int = 0,
        prevents_self_review: bool = False,
        secrets: Iterable[str] = ("AWS_ROLE_ARN",),
    ) -> None:
        """Add an environment; its `refs` are such as `branch main`, and none means any."""
        rules = []
        if reviewers:
            people = [{"type": "User", "reviewer": {"id": 1 + each}} for each in range(reviewers)]
            rules.append(
                {
                    "type": "required_reviewers",
                    "prevent_self_review": prevents_self_review,
                    "reviewers": people,
                }
            )
        policies = [dict(zip(("type", "name"), ref.split(), strict=True)) for ref in refs]
        policy = {"protected_branches": False, "custom_branch_policies": True}
        self.respond(
            f"/environments/{name}",
            {
                "name": name,
                "protection_rules": rules,
                "deployment_branch_policy": policy if policies else None,
            },
        )
        self.respond(
            f"/environments/{name}/deployment-branch-policies?per_page=100",
            {"total_count": len(policies), "branch_policies": policies},
        )
        self.respond(
            f"/environments/{name}/secrets?per_page=100",
            {"secrets": [{"name": secret} for secret in secrets]},
        )

    def add_environments_of_dev(self) -> None:
        """Add the environments of DEV as they must be."""
        self.add_environment("dev-plan")
        self.add_environment("dev", ["branch main"])
        self.add_environment("dev-rollback", ["branch main"])
