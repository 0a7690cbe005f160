# API Gateway's CloudWatch role and the setting that names it: one for each account and region.
# Without it, the first deployment of an API with logs fails in that region. Other APIs of the
# account use it too, so it has a state of its own and is never destroyed with the service.

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
      Component   = "Monitoring"
      Service     = "ProductLambda"
      Environment = var.environment
      ManagedBy   = "Terraform"
      Repository  = "2_bbws_product_lambda"
    }
  }
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "assume_by_api_gateway" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

# When version 5 of the provider destroys the account's setting, it only forgets it: API Gateway would
# still use the role, which is then deleted. So a destroy fails here, before it changes anything.

# Roles are global in an account, so the region is part of the name.
resource "aws_iam_role" "api_gateway_logs" {
  name               = "bbws-api-gateway-logs-${var.environment}-${var.aws_region}"
  description        = "Lets API Gateway write logs in this account and region"
  assume_role_policy = data.aws_iam_policy_document.assume_by_api_gateway.json

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_role_policy_attachment" "api_gateway_logs" {
  role = aws_iam_role.api_gateway_logs.name
  policy_arn = join("/", [
    "arn:${data.aws_partition.current.partition}:iam::aws:policy",
    "service-role",
    "AmazonAPIGatewayPushToCloudWatchLogs",
  ])

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = aws_iam_role.api_gateway_logs.arn

  depends_on = [aws_iam_role_policy_attachment.api_gateway_logs]

  lifecycle {
    prevent_destroy = true
  }
}

output "cloudwatch_role_arn" {
  description = "ARN of the role that API Gateway writes logs with, in this account and region."
  value       = aws_api_gateway_account.this.cloudwatch_role_arn
}
