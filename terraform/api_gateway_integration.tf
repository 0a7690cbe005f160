# What each method calls: the alias of its function, or, for a CORS preflight, nothing (a MOCK answer).

resource "aws_api_gateway_integration" "function" {
  for_each = local.functions

  rest_api_id             = aws_api_gateway_rest_api.product.id
  resource_id             = local.resource_ids[each.value.route]
  http_method             = aws_api_gateway_method.function[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_alias.live[each.key].invoke_arn
  timeout_milliseconds    = min((var.timeout + 1) * 1000, 29000)
}

# --- CORS preflight ---

locals {
  preflight_methods = {
    for route in keys(local.resource_ids) :
    route => join(", ", concat(sort([for f in local.functions : f.method if f.route == route]), ["OPTIONS"]))
  }

  # Constants. The template then adds what depends on the request: its id and, where several origins are allowed, the
  # caller's. Everyone else is answered with the first one, which their browser refuses, as it should.
  preflight_headers = {
    "method.response.header.Access-Control-Allow-Origin"   = "'${var.cors_allowed_origins[0]}'"
    "method.response.header.Access-Control-Allow-Headers"  = "'content-type, x-api-key, if-match, if-none-match, idempotency-key'"
    "method.response.header.Access-Control-Expose-Headers" = "'${local.exposed_headers}'"
    "method.response.header.Access-Control-Max-Age"        = "'600'"
    "method.response.header.Cache-Control"                 = "'no-store'"
    "method.response.header.Vary"                          = "'Origin'"
    "method.response.header.X-Content-Type-Options"        = "'nosniff'"
  }

  preflight_template = templatefile("${path.module}/templates/preflight.vtl", {
    origins = slice(var.cors_allowed_origins, 1, length(var.cors_allowed_origins))
  })
}

resource "aws_api_gateway_method" "preflight" {
  #checkov:skip=CKV2_AWS_53:A preflight has neither parameters nor a body to validate
  for_each = local.preflight_methods

  rest_api_id   = aws_api_gateway_rest_api.product.id
  resource_id   = local.resource_ids[each.key]
  http_method   = "OPTIONS"
  authorization = "NONE"
}

resource "aws_api_gateway_method_response" "preflight" {
  for_each = local.preflight_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_method.preflight[each.key].http_method
  status_code = "204"

  response_parameters = merge(
    { for header in keys(local.preflight_headers) : header => true },
    {
      "method.response.header.Access-Control-Allow-Methods" = true
      "method.response.header.X-Request-Id"                 = true
    },
  )
}

resource "aws_api_gateway_integration" "preflight" {
  for_each = local.preflight_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_method.preflight[each.key].http_method
  type        = "MOCK"

  # The template below is text, whatever media types the API takes as binary.
  content_handling = "CONVERT_TO_TEXT"

  request_templates = {
    "application/json" = jsonencode({ statusCode = 204 })
  }

  # Both change the same method, one after the other.
  depends_on = [aws_api_gateway_method_response.preflight]

  # A MOCK calls nothing, so it has no method of its own; an API that reports one all the same changes nothing.
  lifecycle {
    ignore_changes = [integration_http_method]
  }
}

resource "aws_api_gateway_integration_response" "preflight" {
  for_each = local.preflight_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_integration.preflight[each.key].http_method
  status_code = aws_api_gateway_method_response.preflight[each.key].status_code

  response_parameters = merge(
    local.preflight_headers,
    { "method.response.header.Access-Control-Allow-Methods" = "'${each.value}'" },
  )

  response_templates = {
    "application/json" = local.preflight_template
  }
}
