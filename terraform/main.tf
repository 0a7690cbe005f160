# Root module of the product API: versions, the provider, and the names that the other files use.
# Resources are in the other files, one file for each concern.

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

  # With credentials of another account the plan fails, so that account stays unchanged.
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

  # The same list as ROUTES in src/product_tools/functions.py; a test compares them.
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

  # default_tags are the same for all resources, so each resource adds its own Component.
  component = {
    api        = { Component = "Api" }
    functions  = { Component = "Functions" }
    monitoring = { Component = "Monitoring" }
    firewall   = { Component = "Firewall" }
  }
}
