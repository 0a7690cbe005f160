# The five functions of the API, their log groups, and the alias `live` that API Gateway calls.
# An apply publishes new versions but moves no traffic: scripts/shift_traffic.py moves the alias
# afterwards, while it watches the alarms. So Terraform ignores the alias's version and weights.

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs' own key is enough: lines hold no personal fields
  for_each = local.functions

  name              = "/aws/lambda/${local.function_names[each.key]}"
  retention_in_days = var.log_retention_days
  tags              = local.component.functions
}

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_116:A dead-letter queue is for asynchronous calls; all are synchronous
  #checkov:skip=CKV_AWS_117:A VPC protects nothing here: functions call only DynamoDB, over TLS
  #checkov:skip=CKV_AWS_272:Instead of signing, the pipeline checks the deployed code's SHA-256
  #checkov:skip=CKV_AWS_173:The environment variables hold no secret; Lambda's own key is enough
  for_each = local.functions

  function_name = local.function_names[each.key]
  description   = "Product API: ${join(", ", sort(each.value))}"
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
    variables = merge({
      TABLE_NAME           = data.aws_dynamodb_table.products.name
      CORS_ALLOWED_ORIGINS = join(",", var.cors_allowed_origins)
      LOG_LEVEL            = var.log_level
      READ_CACHE_CONTROL   = var.read_cache_control
      READ_ONLY            = tostring(var.read_only)
      # A function serves one request at a time, so one memory arena (glibc) and one network thread
      # (of the DynamoDB client) are enough. `make bench` measures with both settings.
      MALLOC_ARENA_MAX     = "1"
      TOKIO_WORKER_THREADS = "1"
      }, var.enable_product_indexes && each.key == "list_products" ? {
      PRODUCT_INDEXES = "true"
      } : {}, var.enable_async_writes && contains(local.functions_with_change_queue, each.key) ? {
      CHANGE_QUEUE_URL = "${local.sqs_url_prefix}/${local.change_queue}"
      } : {}, var.enable_cloudfront_cache && contains(local.cached_functions, each.key) ? {
      EDGE_CACHE_SECONDS = tostring(var.edge_cache_seconds)
    } : {})
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.function[each.key].name
    log_format            = "JSON"
    application_log_level = var.log_level
    # At INFO, Lambda writes a report line (memory, start, status) for each request.
    system_log_level = "INFO"
  }

  tracing_config {
    mode = "Active"
  }

  # Left out when off: the provider reads back no "None", so each plan would publish new versions.
  dynamic "snap_start" {
    for_each = var.snapstart ? ["PublishedVersions"] : []

    content {
      apply_on = snap_start.value
    }
  }

  tags = local.component.functions

  # A new function must have its rights before the first request.
  depends_on = [aws_iam_role_policy.function]

  lifecycle {
    precondition {
      condition = fileexists("${var.package_dir}/${each.key}.zip")
      error_message = join(" ", [
        "${var.package_dir}/${each.key}.zip is missing: run `make package` first,",
        "or set package_dir to the folder of the zips.",
      ])
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
    # The last shift writes the previous version into the description, for a roll-back.
    ignore_changes = [description, function_version, routing_config]
  }
}

resource "aws_lambda_permission" "api" {
  for_each = local.routes

  # The first route of each function keeps the name that it had as the only one.
  statement_id = (
    each.key == each.value.function ? "AllowProductApi" : "AllowProductApi-${each.key}"
  )
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function[each.value.function].function_name
  qualifier     = aws_lambda_alias.live[each.value.function].name
  principal     = "apigateway.amazonaws.com"

  # Only this stage, method and path; * matches any value of a path parameter.
  source_arn = join("/", [
    aws_api_gateway_rest_api.product.execution_arn,
    var.stage_name,
    "${each.value.method}${replace(each.value.path, "{productId}", "*")}",
  ])
}
