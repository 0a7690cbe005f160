# Creates the products table from schemas/products.schema.json, for local use and for accounts
# without the schema repository. Never apply it where the schema repository owns the table.

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
      Component   = "Table"
      Service     = "ProductLambda"
      Environment = var.environment
      ManagedBy   = "Terraform"
      Repository  = "2_bbws_product_lambda"
    }
  }
}

locals {
  schema = jsondecode(file(
    coalesce(var.schema_file, "${path.module}/../../schemas/products.schema.json")
  )).table

  product_attributes = {
    for name, type in local.schema.productIndexes.attributes : name => type
    if var.enable_product_indexes
  }
  product_indexes = {
    for name, index in local.schema.productIndexes.globalSecondaryIndexes : name => index
    if var.enable_product_indexes
  }
}

resource "aws_dynamodb_table" "products" {
  #checkov:skip=CKV_AWS_119:DynamoDB's own encryption key is enough for a public catalogue
  name         = coalesce(var.table_name, "products-${var.environment}")
  billing_mode = local.schema.billingMode
  hash_key     = local.schema.hashKey
  range_key    = local.schema.rangeKey

  stream_enabled              = var.enable_stream || local.schema.streamEnabled
  stream_view_type            = var.enable_stream ? "NEW_AND_OLD_IMAGES" : null
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = merge(local.schema.attributes, local.product_attributes)

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  dynamic "global_secondary_index" {
    for_each = merge(
      local.schema.globalSecondaryIndexes, local.product_indexes
    )

    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.hashKey
      range_key       = global_secondary_index.value.rangeKey
      projection_type = global_secondary_index.value.projection
    }
  }

  ttl {
    enabled        = local.schema.timeToLive.enabled
    attribute_name = local.schema.timeToLive.attribute
  }

  point_in_time_recovery {
    enabled = local.schema.pointInTimeRecovery
  }
}

output "table_name" {
  description = "Name of the table, for the main root's variable table_name."
  value       = aws_dynamodb_table.products.name
}
