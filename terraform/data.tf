# Data sources: the account, and the products table, which another repository creates.
# If the table does not match the schema file, the plan fails here, before any change.

data "aws_caller_identity" "current" {}

locals {
  schema_file = coalesce(var.schema_file, "${path.module}/../schemas/products.schema.json")
  expected    = jsondecode(file(local.schema_file)).table
  index_name  = one(keys(local.expected.globalSecondaryIndexes))

  expected_index = local.expected.globalSecondaryIndexes[local.index_name]

  wrong_key_advice = "change the table in the schema repository, or correct table_name."
}

data "aws_dynamodb_table" "products" {
  name = local.table_name

  lifecycle {
    postcondition {
      condition = self.hash_key == local.expected.hashKey
      error_message = join(" ", [
        "Table ${self.name}: the partition key is ${self.hash_key}, but must be",
        "${local.expected.hashKey}; ${local.wrong_key_advice}",
      ])
    }

    postcondition {
      condition = self.range_key == local.expected.rangeKey
      error_message = join(" ", [
        "Table ${self.name}: the sort key is ${coalesce(self.range_key, "missing")}, but must be",
        "${local.expected.rangeKey}; ${local.wrong_key_advice}",
      ])
    }

    postcondition {
      condition = alltrue([
        for attribute in self.attribute :
        lookup(local.expected.attributes, attribute.name, attribute.type) == attribute.type
      ])
      error_message = join(" ", [
        "Table ${self.name}: the key attributes have the types",
        jsonencode({ for attribute in self.attribute : attribute.name => attribute.type }),
        "but must have ${jsonencode(local.expected.attributes)}; ${local.wrong_key_advice}",
      ])
    }

    postcondition {
      condition = contains(self.global_secondary_index[*].name, local.index_name)
      error_message = join(" ", [
        "Table ${self.name}: the index ${local.index_name} is missing",
        "(it has ${jsonencode(self.global_secondary_index[*].name)});",
        "add it in the schema repository, then plan again.",
      ])
    }

    postcondition {
      condition = alltrue([
        for index in self.global_secondary_index :
        index.hash_key == local.expected_index.hashKey
        && index.range_key == local.expected_index.rangeKey
        if index.name == local.index_name
      ])
      error_message = format(
        "Table %s: the index %s has the keys %s, but must have %s; %s",
        self.name,
        local.index_name,
        jsonencode([
          for index in self.global_secondary_index : [index.hash_key, index.range_key]
          if index.name == local.index_name
        ]),
        jsonencode([local.expected_index.hashKey, local.expected_index.rangeKey]),
        "change the index in the schema repository, then plan again.",
      )
    }

    postcondition {
      condition = alltrue([
        for index in self.global_secondary_index :
        index.projection_type == local.expected_index.projection
        if index.name == local.index_name
      ])
      error_message = join(" ", [
        "Table ${self.name}: the index ${local.index_name} does not project",
        "${local.expected_index.projection} attributes, so listed products would lack fields;",
        "change the index in the schema repository, then plan again.",
      ])
    }

    postcondition {
      condition = self.billing_mode == local.expected.billingMode
      error_message = join(" ", [
        "Table ${self.name}: the billing mode is ${self.billing_mode}, but must be",
        "${local.expected.billingMode}; change it in the schema repository, then plan again.",
      ])
    }
  }
}
