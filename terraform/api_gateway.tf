# The REST API itself: resources, methods, the answers that API Gateway gives on its own, stage, limits, key,
# firewall and domain. What a method calls stands in api_gateway_integration.tf.

resource "aws_api_gateway_rest_api" "product" {
  name        = local.api_name
  description = "The product catalogue of the Customer Portal"

  # The address that everyone may guess is closed once the custom domain, with its TLS policy, is the way in.
  disable_execute_api_endpoint = var.custom_domain_name != null

  # Bodies reach the functions byte for byte (as base64): as text, bytes that are not UTF-8 would arrive altered and
  # could not be refused.
  binary_media_types = ["application/json"]

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  tags = local.component.api

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "products" {
  rest_api_id = aws_api_gateway_rest_api.product.id
  parent_id   = aws_api_gateway_rest_api.product.root_resource_id
  path_part   = "products"
}

resource "aws_api_gateway_resource" "product" {
  rest_api_id = aws_api_gateway_rest_api.product.id
  parent_id   = aws_api_gateway_resource.products.id
  path_part   = "{productId}"
}

locals {
  resource_ids = {
    "/products"             = aws_api_gateway_resource.products.id
    "/products/{productId}" = aws_api_gateway_resource.product.id
  }
}

resource "aws_api_gateway_method" "function" {
  #checkov:skip=CKV_AWS_59:The catalogue is public to read by design; writes need an API key
  #checkov:skip=CKV2_AWS_53:The functions validate, since only they can name every fault of a request at once
  for_each = local.functions

  rest_api_id      = aws_api_gateway_rest_api.product.id
  resource_id      = local.resource_ids[each.value.route]
  http_method      = each.value.method
  authorization    = "NONE"
  api_key_required = each.value.writes
}

# --- Answers of API Gateway's own, as problem+json (RFC 9457) ---

locals {
  # A gateway response can hold a constant, or echo any origin, but not choose from a list. One allowed origin is
  # named; several become *, which tells a page no more than the problem document, and lets each allowed page read it.
  gateway_allowed_origin = length(var.cors_allowed_origins) == 1 ? var.cors_allowed_origins[0] : "*"

  problems = {
    bad_request       = { status = 400, type = "validation-error", title = "The request is not valid", detail = "Correct the fields listed under errors and send it again." }
    forbidden         = { status = 403, type = "forbidden", title = "Forbidden", detail = "This operation needs a valid API key in the x-api-key header." }
    blocked           = { status = 403, type = "forbidden", title = "Forbidden", detail = "The request was refused; check its content, or wait before sending more." }
    not_found         = { status = 404, type = "route-not-found", title = "No such route", detail = "No such path or method; the API offers /products and /products/{productId}." }
    too_large         = { status = 413, type = "payload-too-large", title = "The body is too large", detail = "The body must not be larger than 256 KiB." }
    unsupported_media = { status = 415, type = "unsupported-media-type", title = "The body must be JSON", detail = "Send Content-Type: application/json." }
    throttled         = { status = 429, type = "throttled", title = "Too many requests", detail = "Wait for the seconds in Retry-After, then send the request again." }
    internal          = { status = 500, type = "internal-error", title = "The service has made a mistake", detail = "Report the value of instance to the team that runs this API." }
    unavailable       = { status = 503, type = "service-unavailable", title = "The service is unavailable for the moment", detail = "Wait for the seconds in Retry-After, then send the request again." }
  }

  # A 400 tells what is wrong. The gateway checks no field, so all it can refuse is the request's form.
  malformed = [{ field = "request", message = "send a well-formed HTTP request with a JSON body in UTF-8" }]

  # Every type that API Gateway knows, so that none falls back to its own form.
  gateway_responses = {
    ACCESS_DENIED                  = "forbidden"
    API_CONFIGURATION_ERROR        = "internal"
    AUTHORIZER_CONFIGURATION_ERROR = "internal"
    AUTHORIZER_FAILURE             = "internal"
    BAD_REQUEST_BODY               = "bad_request"
    BAD_REQUEST_PARAMETERS         = "bad_request"
    DEFAULT_4XX                    = "bad_request"
    DEFAULT_5XX                    = "internal"
    EXPIRED_TOKEN                  = "forbidden"
    INTEGRATION_FAILURE            = "unavailable"
    INTEGRATION_TIMEOUT            = "unavailable"
    INVALID_API_KEY                = "forbidden"
    INVALID_SIGNATURE              = "forbidden"
    MISSING_AUTHENTICATION_TOKEN   = "not_found"
    QUOTA_EXCEEDED                 = "throttled"
    REQUEST_TOO_LARGE              = "too_large"
    RESOURCE_NOT_FOUND             = "not_found"
    THROTTLED                      = "throttled"
    UNAUTHORIZED                   = "forbidden"
    UNSUPPORTED_MEDIA_TYPE         = "unsupported_media"
    WAF_FILTERED                   = "blocked"
  }

  exposed_headers = "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed"

  gateway_response_headers = {
    "gatewayresponse.header.Content-Type"                  = "'application/problem+json'"
    "gatewayresponse.header.Cache-Control"                 = "'no-store'"
    "gatewayresponse.header.X-Content-Type-Options"        = "'nosniff'"
    "gatewayresponse.header.X-Request-Id"                  = "context.requestId"
    "gatewayresponse.header.Access-Control-Allow-Origin"   = "'${local.gateway_allowed_origin}'"
    "gatewayresponse.header.Access-Control-Expose-Headers" = "'${local.exposed_headers}'"
  }
}

resource "aws_api_gateway_gateway_response" "problem" {
  for_each = local.gateway_responses

  rest_api_id   = aws_api_gateway_rest_api.product.id
  response_type = each.key
  status_code   = tostring(local.problems[each.value].status)

  response_parameters = merge(
    local.gateway_response_headers,
    contains([429, 503], local.problems[each.value].status) ? { "gatewayresponse.header.Retry-After" = "'1'" } : {},
  )

  # The template's key says which body fits, the header above which type is sent.
  response_templates = {
    "application/json" = jsonencode(merge(
      {
        type     = "tag:kimmyai.io,2026:${local.problems[each.value].type}"
        title    = local.problems[each.value].title
        status   = local.problems[each.value].status
        detail   = local.problems[each.value].detail
        instance = "$context.requestId"
      },
      each.value == "bad_request" ? { errors = local.malformed } : {},
    ))
  }
}

# --- Deployment and stage ---

resource "aws_api_gateway_deployment" "product" {
  rest_api_id = aws_api_gateway_rest_api.product.id
  description = "Made by Terraform whenever the API's configuration changes"

  # Only configuration is hashed: a computed attribute would replace the deployment at each plan.
  triggers = {
    configuration = sha256(jsonencode([
      local.functions,
      local.function_names,
      local.problems,
      local.malformed,
      local.gateway_responses,
      local.gateway_response_headers,
      local.preflight_methods,
      local.preflight_headers,
      local.preflight_template,
      filesha256("${path.module}/api_gateway.tf"),
      filesha256("${path.module}/api_gateway_integration.tf"),
    ]))
  }

  # A deployment is a picture of the API at one moment: everything must be there before it is taken.
  depends_on = [
    aws_api_gateway_integration.function,
    aws_api_gateway_integration_response.preflight,
    aws_api_gateway_gateway_response.problem,
  ]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "live" {
  #checkov:skip=CKV_AWS_120:API Gateway's cache would hide changes and cost by the hour; clients and CDNs revalidate by ETag instead
  #checkov:skip=CKV2_AWS_51:Client certificates authenticate API Gateway to HTTP backends; there is none behind this API
  #checkov:skip=CKV2_AWS_77:The web ACL holds the rules against Log4j (known bad inputs) wherever it is there
  rest_api_id          = aws_api_gateway_rest_api.product.id
  deployment_id        = aws_api_gateway_deployment.product.id
  stage_name           = var.stage_name
  description          = "The one stage of ${local.api_name}"
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = local.access_log_format
  }

  tags = local.component.api

  depends_on = [aws_api_gateway_account.this]
}

resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:No cache is used; see the stage
  rest_api_id = aws_api_gateway_rest_api.product.id
  stage_name  = aws_api_gateway_stage.live.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false
    throttling_rate_limit  = var.stage_throttle_rate
    throttling_burst_limit = var.stage_throttle_burst
  }
}

# --- The key for writes ---

resource "aws_api_gateway_api_key" "writer" {
  name        = local.plan_name
  description = "For administration and promotion scripts"
  value       = var.api_key_value
  tags        = local.component.api
}

resource "aws_api_gateway_usage_plan" "writes" {
  name        = local.plan_name
  description = "Who may write, and how fast"

  api_stages {
    api_id = aws_api_gateway_rest_api.product.id
    stage  = aws_api_gateway_stage.live.stage_name
  }

  throttle_settings {
    rate_limit  = var.write_throttle_rate
    burst_limit = var.write_throttle_burst
  }

  tags = local.component.api
}

resource "aws_api_gateway_usage_plan_key" "writer" {
  key_id        = aws_api_gateway_api_key.writer.id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.writes.id
}

# --- API Gateway's role for CloudWatch: one for each account and region, so only on demand ---

data "aws_iam_policy_document" "assume_by_api_gateway" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "api_gateway_logs" {
  count = var.manage_api_gateway_account ? 1 : 0

  name               = "bbws-api-gateway-logs-${var.environment}-${var.aws_region}"
  description        = "Lets API Gateway write logs in this account and region"
  assume_role_policy = data.aws_iam_policy_document.assume_by_api_gateway.json
  tags               = local.component.monitoring
}

resource "aws_iam_role_policy_attachment" "api_gateway_logs" {
  count = var.manage_api_gateway_account ? 1 : 0

  role       = aws_iam_role.api_gateway_logs[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = var.manage_api_gateway_account ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.api_gateway_logs[0].arn

  depends_on = [aws_iam_role_policy_attachment.api_gateway_logs]
}

# --- The custom domain, which exists already ---

data "aws_api_gateway_domain_name" "custom" {
  count = var.custom_domain_name == null ? 0 : 1

  domain_name = var.custom_domain_name

  lifecycle {
    postcondition {
      condition     = self.security_policy != "TLS_1_0"
      error_message = "Domain ${self.domain_name} accepts TLS 1.0: set its security policy to TLS_1_2 before the API is put on it."
    }
  }
}

resource "aws_api_gateway_base_path_mapping" "custom" {
  count = var.custom_domain_name == null ? 0 : 1

  domain_name = data.aws_api_gateway_domain_name.custom[0].domain_name
  api_id      = aws_api_gateway_rest_api.product.id
  stage_name  = aws_api_gateway_stage.live.stage_name
  base_path   = var.custom_domain_base_path
}

# --- The firewall ---

resource "aws_wafv2_web_acl" "api" {
  #checkov:skip=CKV2_AWS_31:The access log has each request with what the firewall said of it; WAF's own samples show the rest
  count = var.waf_enabled ? 1 : 0

  name        = local.api_name
  description = "AWS's managed rules and a rate limit before the product API"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "common"
    priority = 1

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        name        = "AWSManagedRulesCommonRuleSet"
        vendor_name = "AWS"

        # Its limit is 8 KiB; a valid product is larger, and the functions enforce 256 KiB.
        rule_action_override {
          name = "SizeRestrictions_BODY"

          action_to_use {
            count {}
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "common"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "known-bad-inputs"
    priority = 2

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        name        = "AWSManagedRulesKnownBadInputsRuleSet"
        vendor_name = "AWS"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "known-bad-inputs"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "rate"
    priority = 3

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit              = var.waf_rate_limit
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = local.api_name
    sampled_requests_enabled   = true
  }

  tags = local.component.firewall
}

resource "aws_wafv2_web_acl_association" "api" {
  count = var.waf_enabled ? 1 : 0

  resource_arn = aws_api_gateway_stage.live.arn
  web_acl_arn  = aws_wafv2_web_acl.api[0].arn
}
