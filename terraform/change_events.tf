# Change events: the table's stream, the function change_publisher, and the event bus with its
# archive. Other teams subscribe by rules of their own on the bus. In this account they need no
# policy of the bus: rights of their role are enough. Another account needs one, and an agreement.

locals {
  bus_name             = "bbws-product-events-${var.environment}"
  parked_queue         = "bbws-product-parked-${var.environment}"
  stream_failure_queue = "bbws-product-stream-failures-${var.environment}"

  event_source = "bbws.product"

  bus_arn = "arn:aws:events:${var.aws_region}:${var.aws_account_id}:event-bus/${local.bus_name}"

  change_publisher = {
    is_on       = local.change_events
    description = "Change events: from the stream of the table to ${local.bus_name}"
    # A batch is at most 100 records: ten calls to the bus.
    timeout = 30
    environment = {
      EVENT_BUS_NAME   = local.bus_name
      PARKED_QUEUE_URL = "${local.sqs_url_prefix}/${local.parked_queue}"
    }
    rights = [
      {
        actions = [
          "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator",
        ]
        resources = compact([data.aws_dynamodb_table.products.stream_arn])
      },
      # No resource narrows this action (Service Authorization Reference, "Amazon DynamoDB").
      { actions = ["dynamodb:ListStreams"], resources = ["*"] },
      { actions = ["events:PutEvents"], resources = [local.bus_arn] },
      {
        actions = ["sqs:SendMessage"]
        resources = [
          "${local.sqs_arn_prefix}:${local.parked_queue}",
          "${local.sqs_arn_prefix}:${local.stream_failure_queue}",
        ]
      },
    ]
  }
}

resource "aws_cloudwatch_event_bus" "product" {
  count = local.change_events ? 1 : 0

  name        = local.bus_name
  description = "Changes of products; docs/events.md says how to subscribe"
  tags        = local.component.events
}

resource "aws_cloudwatch_event_archive" "product" {
  count = local.change_events ? 1 : 0

  name             = aws_cloudwatch_event_bus.product[0].name
  description      = "Changes of products, for a replay to one consumer"
  event_source_arn = aws_cloudwatch_event_bus.product[0].arn
  event_pattern    = jsonencode({ source = [local.event_source] })
  retention_days   = 90
}

# --- From the stream to the bus ---

resource "aws_lambda_event_source_mapping" "stream" {
  count = local.change_events ? 1 : 0

  event_source_arn = data.aws_dynamodb_table.products.stream_arn
  function_name    = aws_lambda_alias.event_function["change_publisher"].arn

  # From the oldest record on, so that a new mapping misses no change (AWS Lambda Developer Guide,
  # "Using AWS Lambda with Amazon DynamoDB", polling and stream starting positions).
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 100
  maximum_batching_window_in_seconds = 1

  # A record is retried as long as the stream keeps it, which is 24 hours. Then its place in the
  # stream goes to the queue.
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = 24 * 60 * 60
  bisect_batch_on_function_error = true

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.stream_failures[0].arn
    }
  }

  # Products only, not the counter and the idempotency records.
  filter_criteria {
    filter {
      pattern = jsonencode({
        dynamodb = {
          Keys = { PK = { S = [{ prefix = "PRODUCT#" }] }, SK = { S = ["METADATA"] } }
        }
      })
    }
  }

  tags = local.component.events
}

# Records that are no readable product. They wait here for a person.
resource "aws_sqs_queue" "parked" {
  count = local.change_events ? 1 : 0

  name                      = local.parked_queue
  message_retention_seconds = local.queue_settings.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = local.queue_policies[local.parked_queue]
  tags                      = local.component.events
}

# Places in the stream of records that were not delivered in time.
resource "aws_sqs_queue" "stream_failures" {
  count = local.change_events ? 1 : 0

  name                      = local.stream_failure_queue
  message_retention_seconds = local.queue_settings.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = local.queue_policies[local.stream_failure_queue]
  tags                      = local.component.events
}
