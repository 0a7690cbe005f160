# Sign-in and rights of the GitHub workflows in one account: GitHub's OIDC provider, and the roles
# that plan, deploy and roll back. An administrator applies it by hand, since a role that could
# change its own rights would have all rights.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = {
      Project     = "2.1"
      Application = "CustomerPortalPublic"
      Component   = "Pipelines"
      Service     = "ProductLambda"
      Environment = var.environment
      ManagedBy   = "Terraform"
      Repository  = "2_bbws_product_lambda"
    }
  }
}

locals {
  issuer = "token.actions.githubusercontent.com"

  # The GitHub environment of the jobs that may use each role.
  github_environments = {
    plan     = "${var.environment}-plan"
    deploy   = var.environment == "dev" ? "dev" : "${var.environment}-approval"
    rollback = "${var.environment}-rollback"
  }

  state_bucket = "bbws-terraform-state-${var.environment}"

  # The regions of the service, each with the bucket of its state. The second one of prod is for the
  # recovery after the loss of the first (docs/runbooks/product_lambda_disaster_recovery.md).
  places = concat(
    [{ region = var.aws_region, state_bucket = local.state_bucket }],
    var.environment == "prod"
    ? [{ region = "eu-west-1", state_bucket = "${local.state_bucket}-recovery" }] : [],
  )

  # The role that deploys has further templates: all in one would be longer than IAM allows.
  managed_policies = { deploy-events = "deploy", deploy-edge = "deploy" }

  # Each template is JSON, also before its values are filled in. It describes one region; a role
  # gets the resources of all its regions.
  rights = {
    for name in concat(keys(local.github_environments), keys(local.managed_policies)) : name => [
      for place in local.places :
      jsondecode(templatefile("${path.module}/policies/${name}.json.tftpl", merge(place, {
        account_id  = var.aws_account_id
        environment = var.environment
      })))
    ]
  }

  policies = {
    for name, documents in local.rights : name => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for index, statement in documents[0].Statement : merge(statement, {
          Resource = distinct(flatten(documents[*].Statement[index].Resource))
        })
      ]
    })
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]

  # Other repositories of the account may sign in by it too.
  lifecycle {
    prevent_destroy = true
  }
}

data "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? 0 : 1

  url = "https://${local.issuer}"

  lifecycle {
    postcondition {
      condition     = contains(self.client_id_list, "sts.amazonaws.com")
      error_message = "The OIDC provider must accept sts.amazonaws.com: add it in its own stack."
    }
  }
}

resource "aws_iam_role" "pipeline" {
  for_each = local.github_environments

  name        = "bbws-product-${each.key}-${var.environment}"
  description = "GitHub jobs of the environment ${each.value}"

  assume_role_policy = templatefile("${path.module}/policies/trust.json.tftpl", {
    account_id = var.aws_account_id
    subject    = "${var.github_subject_prefix}:environment:${each.value}"
  })

  depends_on = [
    aws_iam_openid_connect_provider.github,
    data.aws_iam_openid_connect_provider.github,
  ]
}

resource "aws_iam_role_policy" "pipeline" {
  for_each = local.github_environments

  name   = each.key
  role   = aws_iam_role.pipeline[each.key].id
  policy = local.policies[each.key]
}

resource "aws_iam_policy" "pipeline" {
  for_each = local.managed_policies

  name        = "bbws-product-${each.key}-${var.environment}"
  description = "Rights of the role bbws-product-${each.value}-${var.environment}"
  policy      = local.policies[each.key]
}

resource "aws_iam_role_policy_attachment" "pipeline" {
  for_each = local.managed_policies

  role       = aws_iam_role.pipeline[each.value].name
  policy_arn = aws_iam_policy.pipeline[each.key].arn
}

output "role_arns" {
  description = "ARN of each role, by the GitHub environment whose secret AWS_ROLE_ARN it is."
  value = {
    for role, name in local.github_environments : name => aws_iam_role.pipeline[role].arn
  }
}
