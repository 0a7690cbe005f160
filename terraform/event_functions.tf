# What the event functions share: roles, log groups, functions and aliases. An event function is
# called by a stream or a queue, never by the API. The file of each capability has the rest of its
# function: change_events.tf, audit_log.tf, async_writes.tf, edge_cache.tf and search_index.tf. All
# of them are off by default.

locals {
  # The audit trail, the edge cache and the search index consume the change events.
  change_events = anytrue([
    var.enable_change_events,
    var.enable_audit_log,
    var.enable_cloudfront_cache,
    var.enable_opensearch,
  ])

  event_functions = {
    for key, function in {
      change_publisher  = local.change_publisher
      audit_logger      = local.audit_logger
      product_creator   = local.product_creator
      cache_invalidator = local.cache_invalidator
      search_indexer    = local.search_indexer
    } : key => function if function.is_on
  }

  event_function_names = {
    for key in keys(local.event_functions) :
    key => "bbws-${replace(key, "_", "-")}-${var.environment}"
  }

  # A new queue takes Terraform half a minute. So ARNs and URLs are made from names, and nothing
  # waits for a queue that can do without it.
  sqs_arn_prefix = "arn:aws:sqs:${var.aws_region}:${var.aws_account_id}"
  sqs_url_prefix = "https://sqs.${var.aws_region}.amazonaws.com/${var.aws_account_id}"

  # For each queue that a function reads: actions of the event source mapping. AWS Lambda Developer
  # Guide, "Using Lambda with Amazon SQS".
  queue_reading_actions = [
    "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage",
  ]

  queue_settings = {
    # Six times the time-out of the function and the batching window, so that no message is visible
    # again while a function works on it (AWS Lambda Developer Guide, the same page).
    visibility_seconds = 60
    function_timeout   = 9
    tries              = 3
    retention_seconds  = 4 * 24 * 60 * 60
    # A dead letter counts its age from its first queue. So it stays there for longer.
    dead_letter_retention_seconds = 14 * 24 * 60 * 60
    batch_size                    = 10
    batching_window_seconds       = 2
  }
}

# --- Queues ---

locals {
  # All queues that are on, with the section of the runbook for its alarm, and the rules of the bus
  # that may send to it. The messages of some wait for a person: these are empty in good times.
  queues = [
    for queue in [
      {
        name  = local.parked_queue, is_on = local.change_events, waits_for_person = true
        rules = [], section = "Parked records"
      },
      {
        name  = local.stream_failure_queue, is_on = local.change_events, waits_for_person = true
        rules = [], section = "Stream failures"
      },
      {
        name  = local.audit_queue, is_on = var.enable_audit_log, waits_for_person = false
        rules = [local.audit_rule_arn], section = "Old messages"
      },
      {
        name  = local.audit_dead_letter_queue, is_on = var.enable_audit_log, waits_for_person = true
        rules = [local.audit_rule_arn], section = "Dead letters"
      },
      {
        name  = local.cache_queue, is_on = var.enable_cloudfront_cache, waits_for_person = false
        rules = [local.cache_rule_arn], section = "Old messages"
      },
      {
        name  = local.cache_dead_letter_queue, is_on = var.enable_cloudfront_cache
        rules = [local.cache_rule_arn], section = "Dead letters", waits_for_person = true
      },
      {
        name  = local.change_queue, is_on = var.enable_async_writes, waits_for_person = false
        rules = [], section = "Old messages"
      },
      {
        name  = local.change_dead_letter_queue, is_on = var.enable_async_writes
        rules = [], section = "Dead letters", waits_for_person = true
      },
      {
        name  = local.search_queue, is_on = var.enable_opensearch, waits_for_person = false
        rules = [local.search_rule_arn], section = "Old messages"
      },
      {
        name  = local.search_dead_letter_queue, is_on = var.enable_opensearch
        rules = [local.search_rule_arn], section = "Dead letters", waits_for_person = true
      },
    ] : queue if queue.is_on
  ]
}

# Functions send and receive by the rights of their roles. The policy of a queue rejects requests
# without TLS, and lets the bus send by a rule.
data "aws_iam_policy_document" "queue" {
  for_each = { for queue in local.queues : queue.name => queue.rules }

  dynamic "statement" {
    for_each = var.require_tls ? ["false"] : []

    content {
      effect    = "Deny"
      actions   = ["sqs:*"]
      resources = ["${local.sqs_arn_prefix}:${each.key}"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "Bool"
        variable = "aws:SecureTransport"
        values   = [statement.value]
      }
    }
  }

  dynamic "statement" {
    for_each = each.value

    content {
      actions   = ["sqs:SendMessage"]
      resources = ["${local.sqs_arn_prefix}:${each.key}"]

      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value]
      }
    }
  }
}

locals {
  # A policy without statements is none.
  queue_policies = {
    for queue in local.queues : queue.name => (
      var.require_tls || length(queue.rules) > 0
      ? data.aws_iam_policy_document.queue[queue.name].json : null
    )
  }
}

# --- Rights ---

data "aws_iam_policy_document" "event_function" {
  for_each = local.event_functions

  dynamic "statement" {
    for_each = each.value.rights

    content {
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }

  # As for the functions of the API; see iam.tf.
  statement {
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [
      join(":", [
        "arn:aws:logs:${var.aws_region}:${var.aws_account_id}:log-group",
        "/aws/lambda/${local.event_function_names[each.key]}:*",
      ])
    ]
  }

  statement {
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "event_function" {
  for_each = local.event_functions

  name               = "${local.event_function_names[each.key]}-${var.aws_region}"
  description        = "Rights of the function ${local.event_function_names[each.key]}"
  assume_role_policy = data.aws_iam_policy_document.assume_by_lambda.json
  tags               = local.component.events
}

resource "aws_iam_role_policy" "event_function" {
  for_each = local.event_functions

  name   = "least-privilege"
  role   = aws_iam_role.event_function[each.key].id
  policy = data.aws_iam_policy_document.event_function[each.key].json
}

# --- Functions ---

resource "aws_cloudwatch_log_group" "event_function" {
  #checkov:skip=CKV_AWS_158:CloudWatch Logs' own key is enough: lines hold no personal fields
  for_each = local.event_functions

  name              = "/aws/lambda/${local.event_function_names[each.key]}"
  retention_in_days = var.log_retention_days
  tags              = local.component.events
}

resource "aws_lambda_function" "event_function" {
  #checkov:skip=CKV_AWS_115:The event source limits the concurrency; writes keep their share
  #checkov:skip=CKV_AWS_116:Failures go to the dead-letter queue or destination of the event source
  #checkov:skip=CKV_AWS_117:A VPC protects nothing here: functions call only AWS, over TLS
  #checkov:skip=CKV_AWS_272:Instead of signing, the pipeline checks the deployed code's SHA-256
  #checkov:skip=CKV_AWS_173:The environment variables hold no secret; Lambda's own key is enough
  for_each = local.event_functions

  function_name = local.event_function_names[each.key]
  description   = each.value.description
  role          = aws_iam_role.event_function[each.key].arn

  runtime          = "python3.12"
  architectures    = [var.architecture]
  handler          = "product_lambda.event_handlers.${each.key}.handler"
  filename         = "${var.package_dir}/${each.key}.zip"
  source_code_hash = filebase64sha256("${var.package_dir}/${each.key}.zip")
  publish          = true

  memory_size = var.memory_size
  timeout     = each.value.timeout

  environment {
    variables = merge(each.value.environment, { LOG_LEVEL = var.log_level })
  }

  logging_config {
    log_group             = aws_cloudwatch_log_group.event_function[each.key].name
    log_format            = "JSON"
    application_log_level = var.log_level
    system_log_level      = "INFO"
  }

  tracing_config {
    mode = "Active"
  }

  tags = local.component.events

  # A new function must have its rights before the first event.
  depends_on = [aws_iam_role_policy.event_function]

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

# The alias moves with the apply: see docs/adr/0030-aliases-of-event-functions.md.
resource "aws_lambda_alias" "event_function" {
  for_each = local.event_functions

  name             = "live"
  description      = "The version that the event source calls; an apply moves it."
  function_name    = aws_lambda_function.event_function[each.key].function_name
  function_version = aws_lambda_function.event_function[each.key].version
}

# --- Metrics, alarms and dashboard ---

locals {
  parked_records_metric     = "ParkedRecords"
  rejected_commands_metric  = "RejectedCommands"
  rejected_documents_metric = "RejectedDocuments"

  # Counted from log lines: the function that writes them, and their message.
  event_metric_filters = {
    for name, filter in {
      (local.parked_records_metric) = {
        function = "change_publisher", message = "record parked"
      }
      (local.rejected_commands_metric) = {
        function = "product_creator", message = "command rejected"
      }
      (local.rejected_documents_metric) = {
        function = "search_indexer", message = "document rejected"
      }
    } : name => filter if contains(keys(local.event_functions), filter.function)
  }

  # An alarm about a queue for a person stays until the queue is empty again.
  event_alarms = merge(
    {
      for name in values(local.event_function_names) : "${name}-errors" => {
        subject    = "Errors of ${name}", section = "Event function errors"
        namespace  = "AWS/Lambda", metric = "Errors", statistic = "Sum"
        dimensions = { FunctionName = name }, period = 60, threshold = var.alarm_function_errors
      }
    },
    {
      for key, name in local.event_function_names : "${name}-iterator-age" => {
        subject    = "${name} is more than 5 minutes behind the stream", section = "Iterator age"
        namespace  = "AWS/Lambda", metric = "IteratorAge", statistic = "Maximum"
        dimensions = { FunctionName = name }, period = 60, threshold = 5 * 60 * 1000 + 1
      } if key == "change_publisher"
    },
    {
      for queue in local.queues : "${trimsuffix(queue.name, ".fifo")}-not-empty" => {
        subject    = "Messages in ${queue.name}", section = queue.section
        namespace  = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible"
        statistic  = "Maximum"
        dimensions = { QueueName = queue.name }, period = 60, threshold = 1
      } if queue.waits_for_person
    },
    {
      for queue in local.queues : "${trimsuffix(queue.name, ".fifo")}-old-messages" => {
        subject    = "A message in ${queue.name} is older than 5 minutes", section = queue.section
        namespace  = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", statistic = "Maximum"
        dimensions = { QueueName = queue.name }, period = 60, threshold = 5 * 60 + 1
      } if !queue.waits_for_person
    },
    {
      for name in [trimsuffix(local.change_queue, ".fifo")] : "${name}-rejected" => {
        subject   = "Rejected commands of ${local.change_queue}", section = "Rejected commands"
        namespace = local.metric_namespace, metric = local.rejected_commands_metric
        statistic = "Sum", dimensions = null, period = 300, threshold = 1
      } if var.enable_async_writes
    },
    {
      for name in [local.search_queue] : "${name}-rejected" => {
        subject   = "Documents that the search index rejects", section = "Rejected documents"
        namespace = local.metric_namespace, metric = local.rejected_documents_metric
        statistic = "Sum", dimensions = null, period = 300, threshold = 1
      } if var.enable_opensearch
    },
  )

  event_widgets = concat(
    length(local.queues) == 0 ? [] : [
      {
        title = "Messages in the queues", period = 60, stat = "Maximum"
        metrics = [
          for queue in local.queues :
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue.name]
        ]
      },
      {
        title  = "Errors of the event functions, parked records, rejected commands and documents"
        period = 60, stat = "Sum"
        metrics = concat(
          [
            for name in values(local.event_function_names) :
            ["AWS/Lambda", "Errors", "FunctionName", name]
          ],
          [for name in keys(local.event_metric_filters) : [local.metric_namespace, name]],
        )
      },
    ],
    local.change_events ? [
      {
        title = "Delay of the change events in ms", period = 60, stat = "Maximum"
        metrics = [[
          "AWS/Lambda", "IteratorAge", "FunctionName",
          local.event_function_names["change_publisher"],
        ]]
      },
    ] : [],
    # CloudFront's metrics are in us-east-1 (Amazon CloudFront Developer Guide, "View CloudFront and
    # edge function metrics").
    var.enable_cloudfront_cache ? [
      {
        title   = "Requests at the edge", period = 60, stat = "Sum", region = "us-east-1"
        metrics = [concat(["AWS/CloudFront", "Requests"], local.edge_dimension_list)]
      },
      {
        title = "Errors at the edge in %", period = 60, stat = "Average", region = "us-east-1"
        metrics = [
          for metric in ["4xxErrorRate", "5xxErrorRate"] :
          concat(["AWS/CloudFront", metric], local.edge_dimension_list)
        ]
      },
    ] : [],
  )
}

resource "aws_cloudwatch_log_metric_filter" "event_function" {
  for_each = local.event_metric_filters

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.event_function[each.value.function].name
  pattern        = "{ ($.message = \"${each.value.message}\") }"

  metric_transformation {
    name          = each.key
    namespace     = local.metric_namespace
    value         = "1"
    default_value = "0"
    unit          = "Count"
  }
}

# A traffic shift does not watch them: the versions that it moves cause none of them.
resource "aws_cloudwatch_metric_alarm" "event" {
  for_each = local.event_alarms

  alarm_name          = each.key
  alarm_description   = "${each.value.subject}: ${local.runbook} ${each.value.section}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
  tags                = local.component.monitoring
}
