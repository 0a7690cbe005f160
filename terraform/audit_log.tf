# The audit trail: a rule and a queue on the event bus, the function audit_logger, and the bucket
# with one object for each change.

locals {
  audit_queue             = "bbws-product-audit-${var.environment}"
  audit_dead_letter_queue = "${local.audit_queue}-dlq"
  audit_rule              = "bbws-product-audit-${var.environment}"
  audit_queue_arn         = "${local.sqs_arn_prefix}:${local.audit_queue}"
  audit_dead_letter_arn   = "${local.sqs_arn_prefix}:${local.audit_dead_letter_queue}"
  audit_rule_arn = join("/", [
    "arn:aws:events:${var.aws_region}:${var.aws_account_id}:rule",
    local.bus_name,
    local.audit_rule,
  ])

  # Names of buckets are global, so a recovery must not have the name of the lost one.
  audit_bucket = join("-", concat(
    ["bbws-product-audit-logs", var.environment],
    var.aws_region == local.home_regions[var.environment] ? [] : [var.aws_region],
  ))

  # The bucket outlives the function where a variable says so.
  has_audit_bucket = var.enable_audit_log || var.keep_audit_bucket

  audit_logger = {
    is_on       = var.enable_audit_log
    description = "Audit trail: from ${local.audit_queue} to ${local.audit_bucket}"
    timeout     = local.queue_settings.function_timeout
    environment = { AUDIT_BUCKET = local.audit_bucket }
    rights = [
      { actions = local.queue_reading_actions, resources = [local.audit_queue_arn] },
      { actions = ["s3:PutObject"], resources = ["arn:aws:s3:::${local.audit_bucket}/*"] },
    ]
  }
}

# --- From the bus to the function ---

resource "aws_cloudwatch_event_rule" "audit" {
  count = var.enable_audit_log ? 1 : 0

  name           = local.audit_rule
  description    = "Every change of a product, for the audit trail"
  event_bus_name = aws_cloudwatch_event_bus.product[0].name
  event_pattern  = jsonencode({ source = [local.event_source] })
  tags           = local.component.events
}

resource "aws_cloudwatch_event_target" "audit" {
  count = var.enable_audit_log ? 1 : 0

  rule           = aws_cloudwatch_event_rule.audit[0].name
  event_bus_name = aws_cloudwatch_event_bus.product[0].name
  target_id      = "queue"
  arn            = local.audit_queue_arn

  retry_policy {
    maximum_event_age_in_seconds = 24 * 60 * 60
    maximum_retry_attempts       = 185
  }

  # For events that the queue does not accept.
  dead_letter_config {
    arn = local.audit_dead_letter_arn
  }
}

resource "aws_sqs_queue" "audit" {
  count = var.enable_audit_log ? 1 : 0

  name                       = local.audit_queue
  visibility_timeout_seconds = local.queue_settings.visibility_seconds
  message_retention_seconds  = local.queue_settings.retention_seconds
  sqs_managed_sse_enabled    = true
  policy                     = local.queue_policies[local.audit_queue]
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.audit_dead_letter_arn
    maxReceiveCount     = local.queue_settings.tries
  })
  tags = local.component.events

  # SQS accepts only a dead-letter queue that exists.
  depends_on = [aws_sqs_queue.audit_dead_letters]
}

resource "aws_sqs_queue" "audit_dead_letters" {
  count = var.enable_audit_log ? 1 : 0

  name                      = local.audit_dead_letter_queue
  message_retention_seconds = local.queue_settings.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = local.queue_policies[local.audit_dead_letter_queue]
  tags                      = local.component.events
}

resource "aws_lambda_event_source_mapping" "audit" {
  count = var.enable_audit_log ? 1 : 0

  event_source_arn                   = aws_sqs_queue.audit[0].arn
  function_name                      = aws_lambda_alias.event_function["audit_logger"].arn
  batch_size                         = local.queue_settings.batch_size
  maximum_batching_window_in_seconds = local.queue_settings.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = local.component.events
}

# --- The bucket ---

resource "aws_s3_bucket" "audit" {
  #checkov:skip=CKV_AWS_18:Access to the audit trail is logged by CloudTrail, for the whole account
  #checkov:skip=CKV_AWS_144:Versions protect the objects; a copy in a second region is not required
  #checkov:skip=CKV_AWS_145:S3's own key is enough: the objects hold a public catalogue
  #checkov:skip=CKV2_AWS_62:Nothing consumes notifications of this bucket
  count = local.has_audit_bucket ? 1 : 0

  bucket = local.audit_bucket
  tags   = local.component.audit

  # To switch off the audit trail and keep its objects, set keep_audit_bucket.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "audit" {
  count = local.has_audit_bucket ? 1 : 0

  bucket = aws_s3_bucket.audit[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "audit" {
  count = local.has_audit_bucket ? 1 : 0

  bucket = aws_s3_bucket.audit[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "audit" {
  count = local.has_audit_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.audit[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "audit_bucket" {
  count = local.has_audit_bucket && var.require_tls ? 1 : 0

  statement {
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["arn:aws:s3:::${local.audit_bucket}", "arn:aws:s3:::${local.audit_bucket}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "audit" {
  count = local.has_audit_bucket && var.require_tls ? 1 : 0

  bucket = aws_s3_bucket.audit[0].id
  policy = data.aws_iam_policy_document.audit_bucket[0].json

  # At once, the two changes would be in each other's way.
  depends_on = [aws_s3_bucket_public_access_block.audit]
}

resource "aws_s3_bucket_lifecycle_configuration" "audit" {
  count = local.has_audit_bucket ? 1 : 0

  bucket = aws_s3_bucket.audit[0].id

  rule {
    id     = "archive"
    status = "Enabled"

    # Without a size, S3 moves no object under 128 KB, and all objects here are smaller (Amazon S3
    # User Guide, "Example: Allowing objects smaller than 128 KB to be transitioned").
    filter {
      object_size_greater_than = 1
    }

    transition {
      days          = var.audit_lifecycle_days
      storage_class = "GLACIER"
    }
  }

  # A rule of its own, since it must not have a size.
  rule {
    id     = "unfinished-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.audit]
}

# In governance mode, only a role with the right to bypass it can delete an object earlier.
resource "aws_s3_bucket_object_lock_configuration" "audit" {
  count = local.has_audit_bucket && var.audit_retention_days != null ? 1 : 0

  bucket = aws_s3_bucket.audit[0].id

  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.audit_retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.audit]
}
