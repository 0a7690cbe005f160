# Data sources: the account, and the products table, which another repository creates.
# If the table does not match the schema file, the plan fails here, before any change.

data "aws_caller_identity" "current" {}

locals {
  schema_file = coalesce(var.schema_file, "${path.module}/../schemas/products.schema.json")
  expected    = jsondecode(file(local.schema_file)).table

  product_attributes = {
    for name, type in local.expected.productIndexes.attributes : name => type
    if var.enable_product_indexes
  }
  product_indexes = {
    for name, index in local.expected.productIndexes.globalSecondaryIndexes : name => index
    if var.enable_product_indexes
  }
  expected_attributes = merge(local.expected.attributes, local.product_attributes)
  expected_indexes = merge(
    local.expected.globalSecondaryIndexes, local.product_indexes
  )

  index_advice     = "change the index in the schema repository, then plan again."
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
        lookup(local.expected_attributes, attribute.name, attribute.type) == attribute.type
      ])
      error_message = join(" ", [
        "Table ${self.name}: the key attributes have the types",
        jsonencode({ for attribute in self.attribute : attribute.name => attribute.type }),
        "but must have ${jsonencode(local.expected_attributes)}; ${local.wrong_key_advice}",
      ])
    }

    postcondition {
      condition = length(setsubtract(
        keys(local.expected_indexes), self.global_secondary_index[*].name
      )) == 0
      error_message = join(" ", [
        join("; ", [
          for name in setsubtract(
            keys(local.expected_indexes), self.global_secondary_index[*].name
          ) : "Table ${self.name}: the index ${name} is missing"
        ]),
        "(it has ${jsonencode(self.global_secondary_index[*].name)});",
        "add it in the schema repository, then plan again.",
        "Without enable_product_indexes, only ActiveProductsIndex is needed.",
      ])
    }

    postcondition {
      condition = alltrue([
        for index in self.global_secondary_index :
        index.hash_key == local.expected_indexes[index.name].hashKey
        && index.range_key == local.expected_indexes[index.name].rangeKey
        if contains(keys(local.expected_indexes), index.name)
      ])
      error_message = join(" ", concat(
        [
          for index in self.global_secondary_index : format(
            "Table %s: the index %s has the keys %s, but must have %s;",
            self.name,
            index.name,
            jsonencode([index.hash_key, index.range_key]),
            jsonencode([
              local.expected_indexes[index.name].hashKey,
              local.expected_indexes[index.name].rangeKey,
            ]),
          )
          if try([index.hash_key, index.range_key] != [
            local.expected_indexes[index.name].hashKey,
            local.expected_indexes[index.name].rangeKey,
          ], false)
        ],
        [local.index_advice],
      ))
    }

    postcondition {
      condition = alltrue([
        for index in self.global_secondary_index :
        index.projection_type == local.expected_indexes[index.name].projection
        if contains(keys(local.expected_indexes), index.name)
      ])
      error_message = join(" ", concat(
        [
          for index in self.global_secondary_index : format(
            "Table %s: the index %s does not project %s attributes,",
            self.name,
            index.name,
            local.expected_indexes[index.name].projection,
          )
          if try(index.projection_type != local.expected_indexes[index.name].projection, false)
        ],
        ["so listed products would lack fields;", local.index_advice],
      ))
    }

    postcondition {
      condition = self.billing_mode == local.expected.billingMode
      error_message = join(" ", [
        "Table ${self.name}: the billing mode is ${self.billing_mode}, but must be",
        "${local.expected.billingMode}; change it in the schema repository, then plan again.",
      ])
    }

    postcondition {
      condition = !local.change_events || (
        self.stream_enabled && self.stream_view_type == "NEW_AND_OLD_IMAGES"
      )
      error_message = join(" ", [
        "Table ${self.name}: the stream is",
        self.stream_enabled ? "on with the view type ${self.stream_view_type}," : "off,",
        "but change events need it with NEW_AND_OLD_IMAGES: ask the owner of the table to switch it",
        "on with this view type, then plan again.",
      ])
    }
  }
}
