# One role for each function, with the actions and resources it needs and no more.
# The only resource written as a lone * is X-Ray's, which offers no narrower one.

locals {
  table_arn = data.aws_dynamodb_table.products.arn
  index_arn = "${local.table_arn}/index/${local.index_name}"

  # A transaction needs the right to each write inside it. Reads beside a write explain a condition that failed.
  # dynamodb:LeadingKeys could narrow the rows too, but no emulator evaluates it, and a right that is not proved
  # before it meets an account is a right that may be missing there.
  table_rights = {
    list_products  = { actions = ["dynamodb:Query"], resource = local.index_arn }
    get_product    = { actions = ["dynamodb:GetItem"], resource = local.table_arn }
    create_product = { actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], resource = local.table_arn }
    update_product = { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resource = local.table_arn }
    delete_product = { actions = ["dynamodb:GetItem", "dynamodb:UpdateItem"], resource = local.table_arn }
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
    resources = [local.table_rights[each.key].resource]
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
