# Integrations: each method calls the alias of its function; a CORS preflight is a MOCK.

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
    for route in keys(local.resource_ids) : route => join(", ", concat(
      sort([for f in local.functions : f.method if f.route == route]), ["OPTIONS"]
    ))
  }

  # Constants. The template adds the request id and, if the caller's origin is another allowed one,
  # that origin. All other callers get the first origin, and their browsers reject the response.
  preflight_headers = {
    "method.response.header.Access-Control-Allow-Origin"   = "'${var.cors_allowed_origins[0]}'"
    "method.response.header.Access-Control-Allow-Headers"  = "'${local.request_headers}'"
    "method.response.header.Access-Control-Expose-Headers" = "'${local.exposed_headers}'"
    "method.response.header.Access-Control-Max-Age"        = "'600'"
    "method.response.header.Cache-Control"                 = "'no-store'"
    "method.response.header.Vary"                          = "'Origin'"
    "method.response.header.X-Content-Type-Options"        = "'nosniff'"
  }

  request_headers = "content-type, x-api-key, if-match, if-none-match, idempotency-key"

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

  # The template is text, although application/json is a binary media type of the API.
  content_handling = "CONVERT_TO_TEXT"

  request_templates = {
    "application/json" = jsonencode({ statusCode = 204 })
  }

  # Both change the same method, so they must not run at once.
  depends_on = [aws_api_gateway_method_response.preflight]

  # A MOCK has no method, but an API may report one, which must not appear as a change.
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
