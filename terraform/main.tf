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
  api_name   = "bbws-product-api-${var.environment}"
  table_name = coalesce(var.table_name, "products-${var.environment}")
  plan_name  = "bbws-product-writes-${var.environment}"
  topic_name = "bbws-product-alerts-${var.environment}"

  # The region of each environment; PROD recovers in another one (the recovery runbook).
  home_regions = { dev = "eu-west-1", sit = "eu-west-1", prod = "af-south-1" }

  # Dashboards are global in an account, so a recovery must not have the name of the lost one.
  dashboard_name = join("-", concat(
    ["bbws-product", var.environment],
    var.aws_region == local.home_regions[var.environment] ? [] : [var.aws_region],
  ))

  # The same list as ROUTES in src/product_tools/functions.py; a test compares them.
  routes = {
    list_products = {
      function = "list_products", method = "GET", path = "/products", needs_key = false
    }
    get_product = {
      function = "get_product", method = "GET", path = "/products/{productId}", needs_key = false
    }
    create_product = {
      function = "create_product", method = "POST", path = "/products", needs_key = true
    }
    update_product = {
      function = "update_product", method = "PUT", path = "/products/{productId}", needs_key = true
    }
    delete_product = {
      function  = "delete_product", method = "DELETE", path = "/products/{productId}",
      needs_key = true
    }
    list_deleted_products = {
      function = "list_products", method = "GET", path = "/deleted-products", needs_key = true
    }
  }

  # The functions with their routes, such as ["GET /products"].
  functions = {
    for function in distinct(values(local.routes)[*].function) : function => [
      for route in local.routes : "${route.method} ${route.path}" if route.function == function
    ]
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
    events     = { Component = "Events" }
    audit      = { Component = "AuditTrail" }
    edge       = { Component = "EdgeCache" }
  }
}
