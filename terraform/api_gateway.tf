# The REST API: resources, methods, gateway responses, stage, limits, API key, domain and firewall.
# Integrations are in api_gateway_integration.tf.

resource "aws_api_gateway_rest_api" "product" {
  name        = local.api_name
  description = "The product catalogue of the Customer Portal"

  # Behind a custom domain, which has a TLS policy, the default endpoint is disabled.
  disable_execute_api_endpoint = local.default_endpoint_disabled

  # Functions get each body as base64. As text, bytes outside UTF-8 would be replaced, and functions
  # could not reject them.
  binary_media_types = ["application/json"]

  # Responses from this number of bytes on, for callers whose Accept-Encoding names gzip: see
  # docs/adr/0031-compression.md.
  minimum_compression_size = 1024

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

resource "aws_api_gateway_resource" "deleted_products" {
  rest_api_id = aws_api_gateway_rest_api.product.id
  parent_id   = aws_api_gateway_rest_api.product.root_resource_id
  path_part   = "deleted-products"
}

locals {
  default_endpoint_disabled = var.custom_domain_name != null

  resource_ids = {
    "/products"             = aws_api_gateway_resource.products.id
    "/products/{productId}" = aws_api_gateway_resource.product.id
    "/deleted-products"     = aws_api_gateway_resource.deleted_products.id
  }
}

resource "aws_api_gateway_method" "function" {
  #checkov:skip=CKV_AWS_59:Reads are public by design; writes and deleted products need an API key
  #checkov:skip=CKV2_AWS_53:The functions validate: only they can name all errors of a request
  for_each = local.routes

  rest_api_id      = aws_api_gateway_rest_api.product.id
  resource_id      = local.resource_ids[each.value.path]
  http_method      = each.value.method
  authorization    = "NONE"
  api_key_required = each.value.needs_key
}

# --- Gateway responses as problem documents (RFC 9457) ---

locals {
  # A gateway response cannot choose an origin from a list. So several allowed origins become *;
  # other pages can then read these problem documents, which hold nothing about a product.
  gateway_allowed_origin = (
    length(var.cors_allowed_origins) == 1 ? var.cors_allowed_origins[0] : "*"
  )

  problems = {
    bad_request = {
      status = 400
      type   = "validation-error"
      title  = "The request is not valid"
      detail = "Correct the fields listed under errors and send it again."
    }
    forbidden = {
      status = 403
      type   = "forbidden"
      title  = "Forbidden"
      detail = "This operation needs a valid API key in the x-api-key header."
    }
    blocked = {
      status = 403
      type   = "forbidden"
      title  = "Forbidden"
      detail = "The firewall rejected the request; send a User-Agent, and check the other content."
    }
    not_found = {
      status = 404
      type   = "route-not-found"
      title  = "No such route"
      detail = "No such path; the API offers /products, /products/{productId} and /deleted-products."
    }
    method_not_allowed = {
      status = 405
      type   = "method-not-allowed"
      title  = "The method is not allowed"
      detail = "Use one of the methods in Allow."
    }
    too_large = {
      status = 413
      type   = "payload-too-large"
      title  = "The body is too large"
      detail = "The body must not be larger than 256 KiB."
    }
    unsupported_media = {
      status = 415
      type   = "unsupported-media-type"
      title  = "The body must be JSON"
      detail = "Send Content-Type: application/json, without a Content-Encoding."
    }
    throttled = {
      status = 429
      type   = "throttled"
      title  = "Too many requests"
      detail = "Wait for the seconds in Retry-After, then send the request again."
    }
    internal = {
      status = 500
      type   = "internal-error"
      title  = "Internal error"
      detail = "Report the value of instance to the team that runs this API."
    }
    unavailable = {
      status = 503
      type   = "service-unavailable"
      title  = "The service is temporarily unavailable"
      detail = join(" ", [
        "Send a read again. A change may have been made: read the product,",
        "or repeat the change with If-Match or its Idempotency-Key.",
      ])
    }
  }

  # A 400 lists errors. The gateway validates no field, so its 400 is always about the HTTP message.
  malformed = [{
    field   = "request"
    message = "send a well-formed HTTP request with a JSON body in UTF-8"
  }]

  # Without `instance`, the id of the request, which each sender adds.
  problem_documents = {
    for name, problem in local.problems : name => merge(
      {
        type   = "tag:kimmyai.io,2026:${problem.type}"
        title  = problem.title
        status = problem.status
        detail = problem.detail
      },
      name == "bad_request" ? { errors = local.malformed } : {},
    )
  }

  # Every type of gateway response; a type that is not listed here would not be a problem document.
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

  # Constants of all problem documents; a sender adds X-Request-Id.
  problem_headers = {
    "Content-Type"                  = "application/problem+json"
    "Cache-Control"                 = "no-store"
    "X-Content-Type-Options"        = "nosniff"
    "Access-Control-Allow-Origin"   = local.gateway_allowed_origin
    "Access-Control-Expose-Headers" = local.exposed_headers
  }

  gateway_response_headers = merge(
    {
      for name, value in local.problem_headers : "gatewayresponse.header.${name}" => "'${value}'"
    },
    { "gatewayresponse.header.X-Request-Id" = "context.requestId" },
  )
}

resource "aws_api_gateway_gateway_response" "problem" {
  for_each = local.gateway_responses

  rest_api_id   = aws_api_gateway_rest_api.product.id
  response_type = each.key
  status_code   = tostring(local.problems[each.value].status)

  response_parameters = merge(
    local.gateway_response_headers,
    contains([429, 503], local.problems[each.value].status)
    ? { "gatewayresponse.header.Retry-After" = "'1'" }
    : {},
  )

  # API Gateway selects the template by this key, but sends the Content-Type from the headers above.
  response_templates = {
    "application/json" = jsonencode(merge(
      local.problem_documents[each.value], { instance = "$context.requestId" }
    ))
  }
}

# --- Deployment and stage ---

resource "aws_api_gateway_deployment" "product" {
  rest_api_id = aws_api_gateway_rest_api.product.id
  description = "Created by Terraform at each change of the API's configuration"

  # A change that is not deployed has no effect, so every input of the API is listed; a test finds
  # missing ones. Only configuration: with a computed attribute, each plan would replace the
  # deployment.
  triggers = {
    configuration = sha256(jsonencode([
      local.default_endpoint_disabled,
      local.integration_timeout_ms,
      local.routes,
      local.function_names,
      local.problem_documents,
      local.gateway_responses,
      local.gateway_response_headers,
      local.allowed_methods,
      local.preflight_headers,
      local.preflight_template,
      local.not_allowed_headers,
      local.not_allowed_media_types,
      filesha256("${path.module}/api_gateway.tf"),
      filesha256("${path.module}/api_gateway_integration.tf"),
    ]))
  }

  # A deployment is a snapshot of the API, so the whole API must exist first.
  depends_on = [
    aws_api_gateway_integration.function,
    aws_api_gateway_integration_response.preflight,
    aws_api_gateway_integration_response.not_allowed,
    aws_api_gateway_gateway_response.problem,
  ]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "live" {
  #checkov:skip=CKV_AWS_120:A cache would hide changes; clients and CDNs revalidate by ETag instead
  #checkov:skip=CKV2_AWS_51:Client certificates are for HTTP backends; this API has none
  #checkov:skip=CKV2_AWS_77:The web ACL, if there is one, has the rules against Log4j
  rest_api_id          = aws_api_gateway_rest_api.product.id
  deployment_id        = aws_api_gateway_deployment.product.id
  stage_name           = var.stage_name
  description          = "The only stage of ${local.api_name}"
  xray_tracing_enabled = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = local.access_log_format
  }

  tags = local.component.api
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

# --- API keys for writes: one for each writer ---

resource "aws_api_gateway_api_key" "writer" {
  for_each = toset(var.writers)

  name        = "${local.plan_name}-${each.key}"
  description = "For admins and promotion scripts"
  value       = lookup(var.api_key_values, each.key, null)
  tags        = local.component.api

  lifecycle {
    # A new name would replace the key, and keys of earlier releases have another name.
    ignore_changes = [name]
  }
}

# The limits are those of each key, not of all together (Amazon API Gateway Developer Guide, "Usage
# plans and API keys for REST APIs").
resource "aws_api_gateway_usage_plan" "writes" {
  name        = local.plan_name
  description = "The API keys for writes, and the rate limit of each"

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
  for_each = aws_api_gateway_api_key.writer

  key_id        = each.value.id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.writes.id
}

# Earlier releases had one key, which is now that of the writer admin.
moved {
  from = aws_api_gateway_api_key.writer
  to   = aws_api_gateway_api_key.writer["admin"]
}

moved {
  from = aws_api_gateway_usage_plan_key.writer
  to   = aws_api_gateway_usage_plan_key.writer["admin"]
}

# --- API Gateway's role for CloudWatch: the root region/ sets it ---

# Earlier releases could own the role here. It serves all APIs of the account and region, so it
# leaves this state and stays in the account.
removed {
  from = aws_api_gateway_account.this

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role_policy_attachment.api_gateway_logs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_iam_role.api_gateway_logs

  lifecycle {
    destroy = false
  }
}

# --- The custom domain, which must exist ---

data "aws_api_gateway_domain_name" "custom" {
  count = var.custom_domain_name == null ? 0 : 1

  domain_name = var.custom_domain_name

  lifecycle {
    postcondition {
      condition = self.security_policy != "TLS_1_0"
      error_message = join(" ", [
        "Domain ${self.domain_name} accepts TLS 1.0: set its security policy to TLS_1_2,",
        "then plan again.",
      ])
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

locals {
  # Rules that inspect bodies, and their labels (AWS WAF Developer Guide, "Baseline rule groups").
  # They would block products that the API accepts: texts with HTML, paths or links, and bodies
  # above 8 KiB. The functions accept 256 KiB.
  waf_body_rules = {
    CrossSiteScripting_BODY = "awswaf:managed:aws:core-rule-set:CrossSiteScripting_Body"
    GenericLFI_BODY         = "awswaf:managed:aws:core-rule-set:GenericLFI_Body"
    GenericRFI_BODY         = "awswaf:managed:aws:core-rule-set:GenericRFI_Body"
    SizeRestrictions_BODY   = "awswaf:managed:aws:core-rule-set:SizeRestrictions_Body"
  }

  write_methods = sort(distinct([for r in local.routes : r.method if r.method != "GET"]))

  waf_window_seconds = 300

  # WAF sends a fixed text, so `instance` has no request id and there is no X-Request-Id. WAF also
  # sets Content-Type itself: application/json, since it has no type for problem documents (AWS WAF
  # Developer Guide, "Sending custom responses for Block actions").
  waf_throttled_body = jsonencode(merge(
    local.problem_documents.throttled, { instance = "firewall" }
  ))
  waf_throttled_headers = merge(
    { for name, value in local.problem_headers : name => value if name != "Content-Type" },
    # After a whole window without requests, the address is below the limit again.
    { "Retry-After" = tostring(local.waf_window_seconds) },
  )
}

locals {
  # Behind the edge cache, an address that connects is one of CloudFront, and a header has that of
  # the caller. Only who calls the API directly can forge the header, and the last rule limits all
  # that one address sends, whatever is in it (docs/adr/0033-edge-cache.md).
  waf_rate_rules = concat(
    [{
      name             = "rate", limit = var.waf_rate_limit, only_direct = false
      counts_forwarded = var.enable_cloudfront_cache
    }],
    var.enable_cloudfront_cache ? [
      {
        name        = "rate-direct", limit = var.waf_rate_limit, counts_forwarded = false
        only_direct = true
      },
      {
        name        = "rate-connection", limit = var.waf_edge_rate_limit, counts_forwarded = false
        only_direct = false
      },
    ] : [],
  )
}

resource "aws_wafv2_web_acl" "api" {
  #checkov:skip=CKV2_AWS_31:The access log has WAF's result for each request
  count = var.waf_enabled ? 1 : 0

  name        = local.api_name
  description = "AWS managed rules and a rate limit for the product API" # WAF allows no apostrophe
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  custom_response_body {
    key          = "throttled"
    content      = local.waf_throttled_body
    content_type = "APPLICATION_JSON"
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

        # Counted here, and blocked outside writes by the next rule. All other rules still block.
        dynamic "rule_action_override" {
          for_each = keys(local.waf_body_rules)

          content {
            name = rule_action_override.value

            action_to_use {
              count {}
            }
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

  # Only a write has a body, and API Gateway rejects a write without an API key.
  rule {
    name     = "bodies-outside-writes"
    priority = 2

    action {
      block {}
    }

    statement {
      and_statement {
        statement {
          or_statement {
            dynamic "statement" {
              for_each = values(local.waf_body_rules)

              content {
                label_match_statement {
                  scope = "LABEL"
                  key   = statement.value
                }
              }
            }
          }
        }

        statement {
          not_statement {
            statement {
              regex_match_statement {
                regex_string = "^(${join("|", local.write_methods)})$"

                field_to_match {
                  method {}
                }

                text_transformation {
                  priority = 0
                  type     = "NONE"
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "bodies-outside-writes"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "known-bad-inputs"
    priority = 3

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

  dynamic "rule" {
    for_each = local.waf_rate_rules

    content {
      name     = rule.value.name
      priority = 4 + rule.key

      # Without a custom response, the status would be 403 (gateway response WAF_FILTERED).
      action {
        block {
          custom_response {
            response_code            = local.problems.throttled.status
            custom_response_body_key = "throttled"

            dynamic "response_header" {
              for_each = local.waf_throttled_headers

              content {
                name  = response_header.key
                value = response_header.value
              }
            }
          }
        }
      }

      statement {
        rate_based_statement {
          limit                 = rule.value.limit
          evaluation_window_sec = local.waf_window_seconds
          aggregate_key_type    = rule.value.counts_forwarded ? "FORWARDED_IP" : "IP"

          # CloudFront always sends an address. A caller who sends something else is blocked.
          dynamic "forwarded_ip_config" {
            for_each = rule.value.counts_forwarded ? [local.viewer_address_header] : []

            content {
              header_name       = forwarded_ip_config.value
              fallback_behavior = "MATCH"
            }
          }

          # A statement about the size of a header matches no request without it.
          dynamic "scope_down_statement" {
            for_each = rule.value.only_direct ? [local.viewer_address_header] : []

            content {
              not_statement {
                statement {
                  size_constraint_statement {
                    comparison_operator = "GE"
                    size                = 0

                    field_to_match {
                      single_header {
                        name = scope_down_statement.value
                      }
                    }

                    text_transformation {
                      priority = 0
                      type     = "NONE"
                    }
                  }
                }
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.value.name
        sampled_requests_enabled   = true
      }
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
