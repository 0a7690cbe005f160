# The five functions, their log groups, and the alias `live` that API Gateway calls.
# An apply publishes a new version and never moves the alias: traffic is shifted afterwards, by weights and under
# watch, so Terraform ignores what the alias points to once it exists.

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs encrypts at rest with its own key; the lines hold no personal field, so a key of ours would add cost and a way to lock out the logs
  for_each = local.functions

  name              = "/aws/lambda/${local.function_names[each.key]}"
  retention_in_days = var.log_retention_days
  tags              = local.component.functions
}

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_116:A dead-letter queue takes failed asynchronous events; every call here is synchronous and its caller gets the error
  #checkov:skip=CKV_AWS_117:The functions talk to DynamoDB only, by its public TLS endpoint and IAM; a VPC would add cold-start time and an endpoint to pay for, and guard nothing
  #checkov:skip=CKV_AWS_272:Code signing needs a signing profile in each account; the pipeline checks the deployed code's SHA-256 against the packaged zips instead
  #checkov:skip=CKV_AWS_173:The variables hold names and switches, no secret; Lambda encrypts them at rest with its own key
  for_each = local.functions

  function_name = local.function_names[each.key]
  description   = "Product API: ${each.value.method} ${each.value.route}"
  role          = aws_iam_role.function[each.key].arn

  runtime          = "python3.12"
  architectures    = [var.architecture]
  handler          = "product_lambda.handlers.${each.key}.handler"
  filename         = "${var.package_dir}/${each.key}.zip"
  source_code_hash = filebase64sha256("${var.package_dir}/${each.key}.zip")
  publish          = true

  memory_size                    = var.memory_size
  timeout                        = var.timeout
  reserved_concurrent_executions = var.reserved_concurrency

  environment {
    variables = {
      TABLE_NAME           = data.aws_dynamodb_table.products.name
      CORS_ALLOWED_ORIGINS = join(",", var.cors_allowed_origins)
      LOG_LEVEL            = var.log_level
      READ_CACHE_CONTROL   = var.read_cache_control
      READ_ONLY            = tostring(var.read_only)
      # A function serves one request at a time: one arena of memory (glibc) and one network thread
      # (the DynamoDB client's) are enough. `make bench` measures with both.
      MALLOC_ARENA_MAX     = "1"
      TOKIO_WORKER_THREADS = "1"
    }
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    log_format            = "JSON"
    application_log_level = var.log_level
    system_log_level      = "WARN"
  }

  tracing_config {
    mode = "Active"
  }

  snap_start {
    apply_on = var.snapstart ? "PublishedVersions" : "None"
  }

  tags = local.component.functions

  # Without its rights, the first request of a new function would fail.
  depends_on = [aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition     = fileexists("${var.package_dir}/${each.key}.zip")
      error_message = "${var.package_dir}/${each.key}.zip is missing: run `make package` first, or point package_dir at the folder with the zips."
    }
  }
}

resource "aws_lambda_alias" "live" {
  for_each = local.functions

  name             = "live"
  description      = "The version that API Gateway calls; scripts/shift_traffic.py moves it."
  function_name    = aws_lambda_function.function[each.key].function_name
  function_version = aws_lambda_function.function[each.key].version

  lifecycle {
    # The description records what the last shift did: a roll-back reads the version before from it.
    ignore_changes = [description, function_version, routing_config]
  }
}

resource "aws_lambda_permission" "api" {
  for_each = local.functions

  statement_id  = "AllowProductApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function[each.key].function_name
  qualifier     = aws_lambda_alias.live[each.key].name
  principal     = "apigateway.amazonaws.com"

  # This stage, this method and this path only; a path parameter stands for any value.
  source_arn = join("/", [
    aws_api_gateway_rest_api.product.execution_arn,
    var.stage_name,
    "${each.value.method}${replace(each.value.route, "{productId}", "*")}",
  ])
}
