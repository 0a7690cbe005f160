# The edge cache: a CloudFront distribution before the API, and the function cache_invalidator,
# which removes reads from it after a change. docs/adr/0033-edge-cache.md has the reasons.

locals {
  # Names of CloudFront are global in an account, so a recovery must have others.
  edge_name = join("-", concat(
    ["bbws-product-edge", var.environment],
    var.aws_region == local.home_regions[var.environment] ? [] : [var.aws_region],
  ))

  cached_functions = ["list_products", "get_product"]

  # A distribution of another stack can be named instead.
  has_distribution = var.enable_cloudfront_cache && var.cloudfront_distribution_id == null

  distribution_id = (
    local.has_distribution
    ? one(aws_cloudfront_distribution.edge[*].id) : var.cloudfront_distribution_id
  )

  edge_dimension_list = ["DistributionId", local.distribution_id, "Region", "Global"]

  # The distribution keeps the path of a request, so Location is right behind it. With a custom
  # domain the path is that of the callers, /v1.0; without one it is that of the stage.
  edge_origin_domain = (
    var.custom_domain_name == null
    ? "${aws_api_gateway_rest_api.product.id}.execute-api.${var.aws_region}.amazonaws.com"
    : var.custom_domain_name
  )
  edge_base_path = (
    var.custom_domain_name == null ? "/${var.stage_name}" : "/${var.custom_domain_base_path}"
  )
  edge_cached_paths = "${local.edge_base_path}/products*"

  # AWS's own policy CachingDisabled has the same id in all accounts (Amazon CloudFront Developer
  # Guide, "Use managed cache policies").
  caching_disabled_policy_id = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

  # CloudFront knows no smaller set with PUT. The API returns 405 for those that it does not have.
  edge_methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]

  # CloudFront keeps responses of these statuses for ten seconds if nothing else is said (the same
  # guide, "How CloudFront caches HTTP 4xx and 5xx status codes").
  edge_error_statuses = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]

  # The address of the caller, for the firewall: CloudFront's function sets it.
  viewer_address_header = "true-client-ip"

  cache_queue             = "bbws-product-cache-${var.environment}"
  cache_dead_letter_queue = "${local.cache_queue}-dlq"
  cache_rule              = "bbws-product-cache-${var.environment}"
  cache_queue_arn         = "${local.sqs_arn_prefix}:${local.cache_queue}"
  cache_dead_letter_arn   = "${local.sqs_arn_prefix}:${local.cache_dead_letter_queue}"
  cache_rule_arn = join("/", [
    "arn:aws:events:${var.aws_region}:${var.aws_account_id}:rule",
    local.bus_name,
    local.cache_rule,
  ])

  cache_invalidator = {
    is_on       = var.enable_cloudfront_cache
    description = "Edge cache: invalidates ${local.edge_cached_paths} after changes"
    timeout     = local.queue_settings.function_timeout
    environment = {
      DISTRIBUTION_ID    = local.distribution_id
      INVALIDATION_PATHS = local.edge_cached_paths
    }
    rights = [
      { actions = local.queue_reading_actions, resources = [local.cache_queue_arn] },
      {
        actions = ["cloudfront:CreateInvalidation"]
        resources = [
          join("", [
            "arn:aws:cloudfront::${var.aws_account_id}:distribution/",
            local.distribution_id == null ? "" : local.distribution_id,
          ])
        ]
      },
    ]
  }
}

# --- The distribution ---

resource "aws_cloudfront_distribution" "edge" {
  #checkov:skip=CKV_AWS_68:The web ACL of the stage counts each caller; hits cost no function
  #checkov:skip=CKV2_AWS_47:The web ACL of the stage, if there is one, has the rules against Log4j
  #checkov:skip=CKV_AWS_86:The access log of the API has each request that reaches it; see ADR 33
  #checkov:skip=CKV_AWS_174:TLS 1.2 needs a certificate of its own, which is an input
  #checkov:skip=CKV2_AWS_42:A certificate of its own is an input
  #checkov:skip=CKV2_AWS_32:The functions and the gateway set the headers of each response
  #checkov:skip=CKV_AWS_305:An API has no default document
  #checkov:skip=CKV_AWS_310:There is one origin; the recovery in another region has its own stack
  #checkov:skip=CKV_AWS_374:The catalogue is public in every country
  count = local.has_distribution ? 1 : 0

  comment         = "The cache before ${local.api_name}"
  enabled         = true
  aliases         = var.cloudfront_domain_name[*]
  http_version    = "http2and3"
  is_ipv6_enabled = true
  price_class     = var.cloudfront_price_class

  # It takes minutes until all edges have a change. An apply does not wait for them.
  wait_for_deployment = false

  origin {
    origin_id   = "api"
    domain_name = local.edge_origin_domain

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      # A second longer than API Gateway waits for a function.
      origin_read_timeout = ceil(local.integration_timeout_ms / 1000) + 1
    }
  }

  # All other paths, such as /deleted-products, are never cached.
  default_cache_behavior {
    target_origin_id         = "api"
    viewer_protocol_policy   = "https-only"
    allowed_methods          = local.edge_methods
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = local.caching_disabled_policy_id
    origin_request_policy_id = aws_cloudfront_origin_request_policy.edge[0].id
    compress                 = false

    dynamic "function_association" {
      for_each = aws_cloudfront_function.viewer_address[*].arn

      content {
        event_type   = "viewer-request"
        function_arn = function_association.value
      }
    }
  }

  # Reads of products. CloudFront caches no other method than the two cached ones.
  ordered_cache_behavior {
    path_pattern             = local.edge_cached_paths
    target_origin_id         = "api"
    viewer_protocol_policy   = "https-only"
    allowed_methods          = local.edge_methods
    cached_methods           = ["GET", "HEAD"]
    cache_policy_id          = aws_cloudfront_cache_policy.edge[0].id
    origin_request_policy_id = aws_cloudfront_origin_request_policy.edge[0].id

    # The gateway compresses. CloudFront would weaken the entity tags of what it compresses (Amazon
    # CloudFront Developer Guide, "Serve compressed files"), and a weak tag in If-Match gets 412.
    compress = false

    dynamic "function_association" {
      for_each = aws_cloudfront_function.viewer_address[*].arn

      content {
        event_type   = "viewer-request"
        function_arn = function_association.value
      }
    }
  }

  dynamic "custom_error_response" {
    for_each = local.edge_error_statuses

    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  # CloudFront's own certificate is for its own domain, and accepts TLS 1.0.
  viewer_certificate {
    cloudfront_default_certificate = var.cloudfront_certificate_arn == null
    acm_certificate_arn            = var.cloudfront_certificate_arn
    ssl_support_method             = var.cloudfront_certificate_arn == null ? null : "sni-only"
    minimum_protocol_version = (
      var.cloudfront_certificate_arn == null ? "TLSv1" : "TLSv1.2_2021"
    )
  }

  tags = local.component.edge
}

# What a cached response depends on, and for how long the headers of a response may keep it.
resource "aws_cloudfront_cache_policy" "edge" {
  count = var.enable_cloudfront_cache ? 1 : 0

  name        = local.edge_name
  comment     = "Reads of products: Cache-Control decides, a response without it is not kept"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 24 * 60 * 60

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = false # the gateway has none

    # A request with an API key never gets what was kept for others. With one allowed origin, all
    # callers get the same Access-Control-Allow-Origin.
    headers_config {
      header_behavior = "whitelist"

      headers {
        items = concat(["x-api-key"], length(var.cors_allowed_origins) > 1 ? ["Origin"] : [])
      }
    }

    # All parameters: a list of those that the API knows would drop the others, for which the API
    # returns 400. That is never kept, so what is kept depends on known parameters only.
    query_strings_config {
      query_string_behavior = "all"
    }

    cookies_config {
      cookie_behavior = "none"
    }
  }
}

# What the API gets. Host must be that of the origin, or API Gateway finds no API.
resource "aws_cloudfront_origin_request_policy" "edge" {
  count = var.enable_cloudfront_cache ? 1 : 0

  name    = local.edge_name
  comment = "All headers but Host, such as x-api-key and If-Match; no cookies"

  headers_config {
    header_behavior = "allExcept"

    headers {
      items = ["Host"]
    }
  }

  query_strings_config {
    query_string_behavior = "all"
  }

  cookies_config {
    cookie_behavior = "none"
  }
}

# Only the firewall needs it, and it costs for each request.
resource "aws_cloudfront_function" "viewer_address" {
  count = var.enable_cloudfront_cache && var.waf_enabled ? 1 : 0

  name    = "${local.edge_name}-viewer-address"
  comment = "Sets ${local.viewer_address_header}, which a caller cannot forge"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = file("${path.module}/templates/viewer_address.js")
}

# --- From the bus to the function ---

resource "aws_cloudwatch_event_rule" "cache" {
  count = var.enable_cloudfront_cache ? 1 : 0

  name           = local.cache_rule
  description    = "Every change of a product, for the edge cache"
  event_bus_name = aws_cloudwatch_event_bus.product[0].name
  event_pattern  = jsonencode({ source = [local.event_source] })
  tags           = local.component.events
}

resource "aws_cloudwatch_event_target" "cache" {
  count = var.enable_cloudfront_cache ? 1 : 0

  rule           = aws_cloudwatch_event_rule.cache[0].name
  event_bus_name = aws_cloudwatch_event_bus.product[0].name
  target_id      = "queue"
  arn            = local.cache_queue_arn

  retry_policy {
    maximum_event_age_in_seconds = 24 * 60 * 60
    maximum_retry_attempts       = 185
  }

  # For events that the queue does not accept.
  dead_letter_config {
    arn = local.cache_dead_letter_arn
  }
}

resource "aws_sqs_queue" "cache" {
  count = var.enable_cloudfront_cache ? 1 : 0

  name                       = local.cache_queue
  delay_seconds              = 3 # longer than a read that began before the change can take
  visibility_timeout_seconds = local.queue_settings.visibility_seconds
  message_retention_seconds  = local.queue_settings.retention_seconds
  sqs_managed_sse_enabled    = true
  policy                     = local.queue_policies[local.cache_queue]
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.cache_dead_letter_arn
    maxReceiveCount     = local.queue_settings.tries
  })
  tags = local.component.events

  # SQS accepts only a dead-letter queue that exists.
  depends_on = [aws_sqs_queue.cache_dead_letters]
}

resource "aws_sqs_queue" "cache_dead_letters" {
  count = var.enable_cloudfront_cache ? 1 : 0

  name                      = local.cache_dead_letter_queue
  message_retention_seconds = local.queue_settings.dead_letter_retention_seconds
  sqs_managed_sse_enabled   = true
  policy                    = local.queue_policies[local.cache_dead_letter_queue]
  tags                      = local.component.events
}

resource "aws_lambda_event_source_mapping" "cache" {
  count = var.enable_cloudfront_cache ? 1 : 0

  event_source_arn        = aws_sqs_queue.cache[0].arn
  function_name           = aws_lambda_alias.event_function["cache_invalidator"].arn
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.component.events

  # A batch is one invalidation, however many changes it has, and CloudFront works on 15 with a
  # wildcard at a time (Amazon CloudFront Developer Guide, "Quotas"). So batches are large and few.
  batch_size                         = 1000
  maximum_batching_window_in_seconds = 4

  scaling_config {
    maximum_concurrency = 2
  }
}
