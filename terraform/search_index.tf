# The search index: a rule and a queue on the event bus, and the function search_indexer, which
# writes to an OpenSearch domain that exists. The domain and its access policy belong to its owners.

locals {
  search_queue             = "bbws-product-search-${var.environment}"
  search_dead_letter_queue = "${local.search_queue}-dlq"
  search_rule              = "bbws-product-search-${var.environment}"
  search_queue_arn         = "${local.sqs_arn_prefix}:${local.search_queue}"
  search_dead_letter_arn   = "${local.sqs_arn_prefix}:${local.search_dead_letter_queue}"
  search_rule_arn = join("/", [
    "arn:aws:events:${var.aws_region}:${var.aws_account_id}:rule",
    local.bus_name,
    local.search_rule,
  ])

  search_indexer = {
    is_on       = var.enable_opensearch
    description = "Search index: from ${local.search_queue} to an OpenSearch domain"
    timeout     = local.queue_settings.function_timeout
    environment = { OPENSEARCH_ENDPOINT = coalesce(var.opensearch_endpoint, "none") }
    rights = [
      { actions = local.queue_reading_actions, resources = [local.search_queue_arn] },
      # Bulk requests to the two aliases, and nothing else (Amazon OpenSearch Service Developer
      # Guide, "Identity and Access Management in Amazon OpenSearch Service").
      {
        actions = ["es:ESHttpPost"]
        resources = [
          for alias in ["products", "products-next"] :
          "${coalesce(var.opensearch_domain_arn, "none")}/${alias}/_bulk"
        ]
      },
    ]
  }
}

resource "aws_cloudwatch_event_rule" "search" {
  count = var.enable_opensearch ? 1 : 0

  name           = local.search_rule
  description    = "Every change of a product, for the search index"
  event_bus_name = aws_cloudwatch_event_bus.product[0].name
  event_pattern  = jsonencode({ source = [local.event_source] })
  tags           = local.component.events
}

resource "aws_cloudwatch_event_target" "search" {
  count = var.enable_opensearch ? 1 : 0

  rule           = aws_cloudwatch_event_rule.search[0].name
  event_bus_name = aws_cloudwatch_event_bus.product[0].name
  target_id      = "queue"
  arn            = local.search_queue_arn

  retry_policy {
    maximum_event_age_in_seconds = 24 * 60 * 60
    maximum_retry_attempts       = 185
  }

  # For events that the queue does not accept.
  dead_letter_config {
    arn = local.search_dead_letter_arn
  }
}

resource "aws_sqs_queue" "search" {
  count = var.enable_opensearch ? 1 : 0

  name                       = local.search_queue
  visibility_timeout_seconds = local.queue_settings.visibility_seconds
  message_retention_seconds  = local.queue_settings.retention_seconds
  sqs_managed_sse_enabled    = true
  policy                     = local.queue_policies[local.search_queue]
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.search_dead_letter_arn
    maxReceiveCount     = local.queue_settings.tries
  })
  tags = local.component.events

  # SQS accepts only a dead-letter queue that exists.
  depends_on = [aws_sqs_queue.search_dead_letters]
}

resource "aws_sqs_queue" "search_dead_letters" {
  count = var.enable_opensearch ? 1 : 0

  name                      = local.search_dead_letter_queue
  message_retention_seconds = local.queue_settings.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = local.queue_policies[local.search_dead_letter_queue]
  tags                      = local.component.events
}

resource "aws_lambda_event_source_mapping" "search" {
  count = var.enable_opensearch ? 1 : 0

  event_source_arn                   = aws_sqs_queue.search[0].arn
  function_name                      = aws_lambda_alias.event_function["search_indexer"].arn
  enabled                            = !var.pause_search_index
  batch_size                         = 5
  maximum_batching_window_in_seconds = local.queue_settings.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = local.component.events
}
