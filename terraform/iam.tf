# One role for each function, with the actions and resources that the function needs.
# Only X-Ray's actions have the resource *: X-Ray has no narrower one.

locals {
  table_arn        = data.aws_dynamodb_table.products.arn
  table_arn_prefix = trimsuffix(local.table_arn, local.table_name)

  # While a restored table takes over, earlier versions of the functions still use the former one.
  table_arns = concat(
    [local.table_arn],
    [for name in var.former_table_name[*] : "${local.table_arn_prefix}${name}"],
  )
  index_arns = flatten([
    for arn in local.table_arns : [
      for name in keys(local.expected_indexes) : "${arn}/index/${name}"
    ]
  ])

  # A transaction needs the right for each write in it. Writes need GetItem too: after a failed
  # condition the function reads the item to choose the response. A condition on
  # dynamodb:LeadingKeys is left out, because no emulator evaluates it, so no test could show that
  # the functions still work with it.
  table_rights = {
    list_products = { actions = ["dynamodb:Query"], resources = local.index_arns }
    get_product   = { actions = ["dynamodb:GetItem"], resources = local.table_arns }
    create_product = {
      # With asynchronous writes, a key that was accepted is a condition of the transaction.
      actions = concat(
        ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        var.enable_async_writes ? ["dynamodb:ConditionCheckItem"] : [],
      )
      resources = local.table_arns
    }
    update_product = {
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = local.table_arns
    }
    delete_product = {
      actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = local.table_arns
    }
  }
}

data "aws_iam_policy_document" "assume_by_lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  statement {
    actions   = local.table_rights[each.key].actions
    resources = local.table_rights[each.key].resources
  }

  dynamic "statement" {
    for_each = (
      var.enable_async_writes && contains(local.functions_with_change_queue, each.key)
      ? [local.change_queue_arn] : []
    )

    content {
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }

  # Terraform creates the log group, so the function needs no right to; :* means its streams.
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[each.key].arn}:*"]
  }

  statement {
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  # Roles are global in an account, so the region is part of the name.
  name               = "${local.function_names[each.key]}-${var.aws_region}"
  description        = "Rights of the function ${local.function_names[each.key]}"
  assume_role_policy = data.aws_iam_policy_document.assume_by_lambda.json
  tags               = local.component.functions
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "least-privilege"
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json
}
