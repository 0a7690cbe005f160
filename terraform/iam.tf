# One role for each function, with the actions and resources it needs and no more.
# The only resource written as a lone * is X-Ray's, which offers no narrower one.

locals {
  table_arn = data.aws_dynamodb_table.products.arn

  # `keys` names the partition keys an action may touch (dynamodb:LeadingKeys), so that a function which may
  # change products still cannot change, say, the counter.
  table_rights = {
    list_products = [
      { actions = ["dynamodb:Query"], resource = "${local.table_arn}/index/${local.index_name}", keys = ["true"] },
    ]
    get_product = [
      { actions = ["dynamodb:GetItem"], resource = local.table_arn, keys = ["PRODUCT#*"] },
    ]
    create_product = [
      { actions = ["dynamodb:UpdateItem"], resource = local.table_arn, keys = ["COUNTER#PRODUCT"] },
      { actions = ["dynamodb:PutItem"], resource = local.table_arn, keys = ["PRODUCT#*", "IDEMPOTENCY#*"] },
      { actions = ["dynamodb:GetItem"], resource = local.table_arn, keys = ["PRODUCT#*", "IDEMPOTENCY#*"] },
    ]
    update_product = [
      { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resource = local.table_arn, keys = ["PRODUCT#*"] },
    ]
    delete_product = [
      { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resource = local.table_arn, keys = ["PRODUCT#*"] },
    ]
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

  dynamic "statement" {
    for_each = local.table_rights[each.key]

    content {
      actions   = statement.value.actions
      resources = [statement.value.resource]

      condition {
        test     = "ForAllValues:StringLike"
        variable = "dynamodb:LeadingKeys"
        values   = statement.value.keys
      }
    }
  }

  # The group is made by Terraform, so the function may not make one; :* stands for the group's own streams.
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

  # Roles are global in an account: the region keeps the recovery region's apart.
  name               = "${local.function_names[each.key]}-${var.aws_region}"
  description        = "What the function ${local.function_names[each.key]} may do"
  assume_role_policy = data.aws_iam_policy_document.assume_by_lambda.json
  tags               = local.component.functions
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "least-privilege"
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json
}
