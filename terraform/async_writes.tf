# Asynchronous writes: the queue of commands, which keeps the order of each product's commands, and
# the function product_creator, which carries them out.

locals {
  change_queue                = "bbws-product-change-${var.environment}.fifo"
  change_dead_letter_queue    = "bbws-product-change-${var.environment}-dlq.fifo"
  change_queue_arn            = "${local.sqs_arn_prefix}:${local.change_queue}"
  change_dead_letter_arn      = "${local.sqs_arn_prefix}:${local.change_dead_letter_queue}"
  functions_with_change_queue = ["create_product", "update_product", "delete_product"]

  product_creator = {
    is_on       = var.enable_async_writes
    description = "Asynchronous writes: carries out the commands in ${local.change_queue}"
    timeout     = local.queue_settings.function_timeout
    environment = {
      TABLE_NAME           = local.table_name
      MALLOC_ARENA_MAX     = "1"
      TOKIO_WORKER_THREADS = "1"
    }
    rights = [
      # Those of the three functions whose commands it carries out.
      {
        actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        resources = local.table_arns
      },
      { actions = local.queue_reading_actions, resources = [local.change_queue_arn] },
    ]
  }
}

resource "aws_sqs_queue" "change" {
  count = var.enable_async_writes ? 1 : 0

  name                       = local.change_queue
  fifo_queue                 = true
  visibility_timeout_seconds = local.queue_settings.visibility_seconds
  message_retention_seconds  = local.queue_settings.retention_seconds
  sqs_managed_sse_enabled    = true
  policy                     = local.queue_policies[local.change_queue]
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.change_dead_letter_arn
    maxReceiveCount     = local.queue_settings.tries
  })
  tags = local.component.events

  # SQS accepts only a dead-letter queue that exists.
  depends_on = [aws_sqs_queue.change_dead_letters]
}

resource "aws_sqs_queue" "change_dead_letters" {
  count = var.enable_async_writes ? 1 : 0

  name                      = local.change_dead_letter_queue
  fifo_queue                = true
  message_retention_seconds = local.queue_settings.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = local.queue_policies[local.change_dead_letter_queue]
  tags                      = local.component.events
}

# Lambda has no batching window for FIFO queues. While writes are rejected, commands wait.
resource "aws_lambda_event_source_mapping" "change" {
  count = var.enable_async_writes ? 1 : 0

  event_source_arn        = aws_sqs_queue.change[0].arn
  function_name           = aws_lambda_alias.event_function["product_creator"].arn
  enabled                 = !var.read_only
  batch_size              = local.queue_settings.batch_size
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.component.events
}
