# The product API's root module: versions, the provider, and the names that every other file uses.
# It must not hold resources; each kind of them has a file of its own.

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
  region = var.aws_region

  # Credentials of another account stop the plan instead of changing that account.
  allowed_account_ids = [var.aws_account_id]

  default_tags {
    tags = {
      Project     = "2.1"
      Application = "CustomerPortalPublic"
      Service     = "ProductLambda"
      Environment = var.environment
      ManagedBy   = "Terraform"
      Repository  = "2_bbws_product_lambda"
    }
  }
}

locals {
  api_name       = "bbws-product-api-${var.environment}"
  table_name     = coalesce(var.table_name, "products-${var.environment}")
  plan_name      = "bbws-product-writes-${var.environment}"
  topic_name     = "bbws-product-alerts-${var.environment}"
  dashboard_name = "bbws-product-${var.environment}"

  # One entry for each function. `route` is the API resource it answers.
  functions = {
    list_products  = { method = "GET", route = "/products", writes = false }
    get_product    = { method = "GET", route = "/products/{productId}", writes = false }
    create_product = { method = "POST", route = "/products", writes = true }
    update_product = { method = "PUT", route = "/products/{productId}", writes = true }
    delete_product = { method = "DELETE", route = "/products/{productId}", writes = true }
  }

  function_names = {
    for key in keys(local.functions) : key => "bbws-${replace(key, "_", "-")}-${var.environment}"
  }

  # Provider 5's default_tags cannot differ between resources, so each resource adds the one tag that does.
  component = {
    api        = { Component = "Api" }
    functions  = { Component = "Functions" }
    monitoring = { Component = "Monitoring" }
    firewall   = { Component = "Firewall" }
  }
}
