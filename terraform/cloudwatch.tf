# Observability: access log, metric filters, alarms, their topic, and the dashboard.
# Each alarm has a section with its name in docs/runbooks/product_lambda_operations.md.

# --- Access log ---

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs' own key is enough: lines hold no body and no API key
  name              = "/aws/apigateway/${local.api_name}"
  retention_in_days = var.log_retention_days
  tags              = local.component.monitoring
}

locals {
  # Only variables that AWS documents for access logs. None is a secret: apiKeyId is not the key.
  access_log_format = jsonencode({
    requestId          = "$context.requestId"
    extendedRequestId  = "$context.extendedRequestId"
    xrayTraceId        = "$context.xrayTraceId"
    requestTime        = "$context.requestTime"
    sourceIp           = "$context.identity.sourceIp"
    userAgent          = "$context.identity.userAgent"
    apiKeyId           = "$context.identity.apiKeyId"
    protocol           = "$context.protocol"
    httpMethod         = "$context.httpMethod"
    resourcePath       = "$context.resourcePath"
    path               = "$context.path"
    status             = "$context.status"
    responseLength     = "$context.responseLength"
    responseLatency    = "$context.responseLatency"
    integrationLatency = "$context.integration.latency"
    integrationStatus  = "$context.integration.status"
    integrationError   = "$context.integration.error"
    errorResponseType  = "$context.error.responseType"
    wafStatus          = "$context.waf.status"
    tlsVersion         = "$context.tlsVersion"
  })
}

# --- Business metrics, counted from the functions' log lines ---

locals {
  metric_namespace = "BBWS/Product/${var.environment}"

  unreadable_items_metric = "UnreadableItems"

  # A replayed creation is not counted, since it created nothing. A repeated deletion is counted,
  # since its response is 204 as well. A restoration is a change too; one of an active product is
  # counted, since a conditional write does not tell which state it found.
  metric_filters = {
    ProductsCreated = {
      function = "create_product"
      outcome  = "($.status = 201) && ($.replayed IS FALSE)"
    }
    ProductsUpdated = { function = "update_product", outcome = "($.status = 200)" }
    ProductsRestored = {
      function = "update_product"
      outcome  = "($.status = 200) && ($.restored IS TRUE)"
    }
    ProductsDeleted = { function = "delete_product", outcome = "($.status = 204)" }
  }
}

resource "aws_cloudwatch_log_metric_filter" "product" {
  for_each = local.metric_filters

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.function[each.value.function].name
  pattern = format(
    "{ ($.message = \"request completed\") && ($.operation = \"%s\") && %s }",
    each.value.function,
    each.value.outcome,
  )

  metric_transformation {
    name          = each.key
    namespace     = local.metric_namespace
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

# Items of the table that break the rules of the API. Functions log one ERROR line for each
# encounter.
resource "aws_cloudwatch_log_metric_filter" "unreadable_items" {
  for_each = local.functions

  name           = local.unreadable_items_metric
  log_group_name = aws_cloudwatch_log_group.function[each.key].name
  pattern        = "{ ($.message = \"unreadable item\") }"

  metric_transformation {
    name          = local.unreadable_items_metric
    namespace     = local.metric_namespace
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

# --- The topic for alarms ---

locals {
  # A pipeline passes an empty text if its environment has no address.
  has_alert_email = var.alert_email != null && var.alert_email != ""
}

resource "aws_sns_topic" "alerts" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish under AWS's key; messages are not secret
  name = local.topic_name
  tags = local.component.monitoring
}

data "aws_iam_policy_document" "alerts" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.alerts.json
}

resource "aws_sns_topic_subscription" "email" {
  count = local.has_alert_email ? 1 : 0

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = var.alert_email
}

# --- Alarms ---

locals {
  api_dimensions = { ApiName = local.api_name, Stage = var.stage_name }

  runbook = "see the runbook product_lambda_operations, section"

  # DynamoDB reports these metrics for each operation, so an alarm adds up the operations in use.
  table_operations = ["GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"]

  function_alarms = merge([
    for key, name in local.function_names : {
      "${name}-errors" = {
        function  = name
        metric    = "Errors"
        threshold = var.alarm_function_errors
      }
      "${name}-throttles" = {
        function  = name
        metric    = "Throttles"
        threshold = var.alarm_function_throttles
      }
    }
  ]...)

  # The Sum of these metrics is the number of such responses, the Average their share (Amazon API
  # Gateway Developer Guide, "Amazon API Gateway dimensions and metrics").
  api_share_alarms = {
    "${local.api_name}-5xx" = {
      metric  = "5XXError"
      percent = var.alarm_5xx_percent
      minimum = var.alarm_5xx_minimum
    }
    "${local.api_name}-4xx" = {
      metric  = "4XXError"
      percent = var.alarm_4xx_percent
      minimum = var.alarm_4xx_minimum
    }
  }

  table_alarms = {
    "bbws-product-table-${var.environment}-throttles" = {
      metric    = "ThrottledRequests"
      threshold = var.alarm_table_throttles
    }
    "bbws-product-table-${var.environment}-system-errors" = {
      metric    = "SystemErrors"
      threshold = var.alarm_table_system_errors
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_name = each.key
  alarm_description = join(" ", [
    "${each.value.metric} of ${each.value.function}:", local.runbook, each.key,
  ])
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = each.value.function }
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
  tags                = local.component.monitoring

  depends_on = [aws_lambda_function.function]
}

resource "aws_cloudwatch_metric_alarm" "api_share" {
  for_each = local.api_share_alarms

  alarm_name = each.key
  alarm_description = join(" ", [
    "More than ${each.value.percent} % of responses, and at least ${each.value.minimum},",
    "are ${each.value.metric}:",
    local.runbook,
    each.key,
  ])
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.percent / 100
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
  tags                = local.component.monitoring

  # Few such responses raise no alarm, whatever their share: in a quiet hour, the requests of a
  # validation would.
  metric_query {
    id          = "judged"
    label       = "Share of ${each.value.metric}; 0 below ${each.value.minimum} responses"
    expression  = "IF(responses >= ${each.value.minimum}, share, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { responses = "Sum", share = "Average" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApiGateway"
        metric_name = each.value.metric
        dimensions  = local.api_dimensions
        stat        = metric_query.value
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "api_latency" {
  alarm_name = "${local.api_name}-latency-p95"
  alarm_description = join(" ", [
    "5 % of responses take longer than ${var.alarm_latency_p95_ms} ms:",
    "${local.runbook} ${local.api_name}-latency-p95",
  ])
  namespace           = "AWS/ApiGateway"
  metric_name         = "Latency"
  dimensions          = local.api_dimensions
  extended_statistic  = "p95"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarm_latency_p95_ms
  treat_missing_data  = "notBreaching"

  # Among fewer than 200 requests, a few cold starts are 5 % (Amazon CloudWatch User Guide,
  # "Percentile-based alarms and low data samples").
  evaluate_low_sample_count_percentiles = "ignore"

  alarm_actions = [aws_sns_topic.alerts.arn]
  ok_actions    = [aws_sns_topic.alerts.arn]
  tags          = local.component.monitoring
}

resource "aws_cloudwatch_metric_alarm" "table" {
  for_each = local.table_alarms

  alarm_name = each.key
  alarm_description = join(" ", [
    "${each.value.metric} of table ${local.table_name}:", local.runbook, each.key,
  ])
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
  tags                = local.component.monitoring

  # An operation without errors reports no value, and a sum needs all values, so FILL sets 0.
  metric_query {
    id    = "total"
    label = "${each.value.metric} over all operations"
    expression = join(" + ", [
      for operation in local.table_operations : "FILL(${lower(operation)}, 0)"
    ])
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.table_operations

    content {
      id = lower(metric_query.value)

      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = each.value.metric
        dimensions  = { TableName = local.table_name, Operation = metric_query.value }
        stat        = "Sum"
        period      = 60
      }
    }
  }
}

# Other programs write such items, so a new version is not their cause and must not be rolled back
# because of them. A traffic shift watches the alarms with the prefixes of `alarm_prefixes` in
# src/product_tools/traffic.py; this name has none of them.
resource "aws_cloudwatch_metric_alarm" "unreadable_items" {
  alarm_name = "bbws-product-items-${var.environment}-unreadable"
  alarm_description = join(" ", [
    "Items of table ${local.table_name} break the rules of the API:",
    "${local.runbook} bbws-product-items-${var.environment}-unreadable",
  ])
  namespace           = local.metric_namespace
  metric_name         = local.unreadable_items_metric
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarm_unreadable_items
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
  tags                = local.component.monitoring
}

# --- Dashboard ---

locals {
  api_dimension_list = flatten([for name, value in local.api_dimensions : [name, value]])

  dashboard_widgets = [
    {
      title = "Requests and errors of the API", period = 60, stat = "Sum"
      metrics = [
        for metric in ["Count", "4XXError", "5XXError"] :
        concat(["AWS/ApiGateway", metric], local.api_dimension_list)
      ]
    },
    {
      title = "Latency of the API in ms", period = 60, stat = "p95"
      metrics = [
        for metric in ["Latency", "IntegrationLatency"] :
        concat(["AWS/ApiGateway", metric], local.api_dimension_list)
      ]
    },
    {
      title   = "Products changed", period = 300, stat = "Sum"
      metrics = [for name in keys(local.metric_filters) : [local.metric_namespace, name]]
    },
    {
      title = "Invocations of the functions", period = 60, stat = "Sum"
      metrics = [
        for name in values(local.function_names) :
        ["AWS/Lambda", "Invocations", "FunctionName", name]
      ]
    },
    {
      title = "Errors and throttles of the functions", period = 60, stat = "Sum"
      metrics = flatten([
        for metric in ["Errors", "Throttles"] : [
          for name in values(local.function_names) :
          { row = ["AWS/Lambda", metric, "FunctionName", name] }
        ]
      ])[*].row
    },
    {
      title = "Duration of the functions in ms", period = 60, stat = "p95"
      metrics = [
        for name in values(local.function_names) : ["AWS/Lambda", "Duration", "FunctionName", name]
      ]
    },
    {
      title = "Concurrent executions of the functions", period = 60, stat = "Maximum"
      metrics = [
        for name in values(local.function_names) :
        ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", name]
      ]
    },
    {
      title = "Throttles and system errors of the table", period = 60, stat = "Sum"
      metrics = flatten([
        for metric in ["ThrottledRequests", "SystemErrors"] : [
          for operation in local.table_operations :
          { row = ["AWS/DynamoDB", metric, "TableName", local.table_name, "Operation", operation] }
        ]
      ])[*].row
    },
    {
      title = "Capacity used by the table", period = 60, stat = "Sum"
      metrics = [
        for metric in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] :
        ["AWS/DynamoDB", metric, "TableName", local.table_name]
      ]
    },
    {
      title   = "Encounters of unreadable items", period = 300, stat = "Sum"
      metrics = [[local.metric_namespace, local.unreadable_items_metric]]
    },
  ]

  alarm_arns = concat(
    values(aws_cloudwatch_metric_alarm.function)[*].arn,
    values(aws_cloudwatch_metric_alarm.api_share)[*].arn,
    [aws_cloudwatch_metric_alarm.api_latency.arn],
    values(aws_cloudwatch_metric_alarm.table)[*].arn,
    [aws_cloudwatch_metric_alarm.unreadable_items.arn],
    values(aws_cloudwatch_metric_alarm.event)[*].arn,
  )

  # The widgets of the events begin a row of their own.
  placed_widgets = concat(
    [
      for position, widget in local.dashboard_widgets :
      { row = floor(position / 3), column = position % 3, widget = widget }
    ],
    [
      for position, widget in local.event_widgets : {
        row    = ceil(length(local.dashboard_widgets) / 3) + floor(position / 3)
        column = position % 3
        widget = widget
      }
    ],
  )
}

resource "aws_cloudwatch_dashboard" "product" {
  dashboard_name = local.dashboard_name

  dashboard_body = jsonencode({
    widgets = concat(
      [
        {
          type       = "alarm", x = 0, y = 0, width = 24, height = 4
          properties = { title = "Alarms", alarms = local.alarm_arns }
        },
      ],
      [
        for placed in local.placed_widgets : {
          type       = "metric", width = 8, height = 6
          x          = 8 * placed.column
          y          = 4 + 6 * placed.row
          properties = merge({ region = var.aws_region, view = "timeSeries" }, placed.widget)
        }
      ],
    )
  })
}
