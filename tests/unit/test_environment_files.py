"""Terraform's files of the environments, and of PROD in the second region."""

from product_tools.environment_files import DEPLOYMENTS, RECOVERY, state_location, values


def test_recovery_differs_from_prod_only_in_its_region() -> None:
    recovery = values(RECOVERY)

    assert recovery["aws_region"] == "eu-west-1"
    assert {**recovery, "aws_region": values("prod")["aws_region"]} == values("prod")


def test_every_deployment_has_its_own_state_in_its_region() -> None:
    locations = {name: state_location(name) for name in DEPLOYMENTS}

    assert len({location.bucket for location in locations.values()}) == len(DEPLOYMENTS)
    for name, location in locations.items():
        assert location.bucket == f"bbws-terraform-state-{name}"
        assert location.region == values(name)["aws_region"]
