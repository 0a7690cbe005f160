# Integrations: each method calls the alias of its function; MOCKs respond to a CORS preflight and
# to the methods that a path does not have.

resource "aws_api_gateway_integration" "function" {
  for_each = local.routes

  rest_api_id             = aws_api_gateway_rest_api.product.id
  resource_id             = local.resource_ids[each.value.path]
  http_method             = aws_api_gateway_method.function[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_alias.live[each.value.function].invoke_arn
  timeout_milliseconds    = local.integration_timeout_ms
}

locals {
  # A second longer than the function may run, within API Gateway's limit.
  integration_timeout_ms = min((var.timeout + 1) * 1000, 29000)

  # The methods of each path, as the headers Allow and Access-Control-Allow-Methods list them.
  allowed_methods = {
    for path in keys(local.resource_ids) : path => join(", ", concat(
      sort([for route in local.routes : route.method if route.path == path]), ["OPTIONS"]
    ))
  }
}

# --- CORS preflight ---

locals {
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

  request_headers = join(", ", concat(
    ["content-type", "x-api-key", "if-match", "if-none-match", "idempotency-key"],
    var.enable_async_writes ? ["prefer"] : [],
  ))

  preflight_template = templatefile("${path.module}/templates/preflight.vtl", {
    origins = slice(var.cors_allowed_origins, 1, length(var.cors_allowed_origins))
  })
}

resource "aws_api_gateway_method" "preflight" {
  #checkov:skip=CKV2_AWS_53:A preflight has neither parameters nor a body to validate
  for_each = local.allowed_methods

  rest_api_id   = aws_api_gateway_rest_api.product.id
  resource_id   = local.resource_ids[each.key]
  http_method   = "OPTIONS"
  authorization = "NONE"
}

resource "aws_api_gateway_method_response" "preflight" {
  for_each = local.allowed_methods

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
  for_each = local.allowed_methods

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
  for_each = local.allowed_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_integration.preflight[each.key].http_method
  status_code = aws_api_gateway_method_response.preflight[each.key].status_code

  # For a caller with `Accept: application/json`, a binary media type of the API, API Gateway would
  # decode the text as base64 (its Developer Guide, "Content type conversions in API Gateway").
  content_handling = "CONVERT_TO_TEXT"

  response_parameters = merge(
    local.preflight_headers,
    { "method.response.header.Access-Control-Allow-Methods" = "'${each.value}'" },
  )

  response_templates = {
    "application/json" = local.preflight_template
  }
}

# --- 405 for the methods that a path does not have ---

# ANY catches each method that the path does not declare (Amazon API Gateway Developer Guide,
# "x-amazon-apigateway-any-method object").

locals {
  # A MOCK reads its status from a template, and a template belongs to one content type. Other
  # content types get 415, which is a problem document too: passed through, they would be a 500.
  not_allowed_media_types = [
    "application/json",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/xml",
    "multipart/form-data",
    "text/plain",
    "text/xml",
  ]

  not_allowed_headers = merge(
    { for name, value in local.problem_headers : "method.response.header.${name}" => "'${value}'" },
    { "method.response.header.X-Request-Id" = "context.requestId" },
  )
}

resource "aws_api_gateway_method" "not_allowed" {
  #checkov:skip=CKV_AWS_59:The response is a constant; it needs no API key
  #checkov:skip=CKV2_AWS_53:Each of these requests is rejected, so there is nothing to validate
  for_each = local.allowed_methods

  rest_api_id   = aws_api_gateway_rest_api.product.id
  resource_id   = local.resource_ids[each.key]
  http_method   = "ANY"
  authorization = "NONE"
}

resource "aws_api_gateway_method_response" "not_allowed" {
  for_each = local.allowed_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_method.not_allowed[each.key].http_method
  status_code = tostring(local.problems.method_not_allowed.status)

  response_parameters = merge(
    { for header in keys(local.not_allowed_headers) : header => true },
    { "method.response.header.Allow" = true },
  )
}

resource "aws_api_gateway_integration" "not_allowed" {
  for_each = local.allowed_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_method.not_allowed[each.key].http_method
  type        = "MOCK"

  # The template is text, although application/json is a binary media type of the API.
  content_handling     = "CONVERT_TO_TEXT"
  passthrough_behavior = "NEVER"

  request_templates = {
    for media_type in local.not_allowed_media_types :
    media_type => jsonencode({ statusCode = local.problems.method_not_allowed.status })
  }

  # Both change the same method, so they must not run at once.
  depends_on = [aws_api_gateway_method_response.not_allowed]

  # A MOCK has no method, but an API may report one, which must not appear as a change.
  lifecycle {
    ignore_changes = [integration_http_method]
  }
}

resource "aws_api_gateway_integration_response" "not_allowed" {
  for_each = local.allowed_methods

  rest_api_id = aws_api_gateway_rest_api.product.id
  resource_id = local.resource_ids[each.key]
  http_method = aws_api_gateway_integration.not_allowed[each.key].http_method
  status_code = aws_api_gateway_method_response.not_allowed[each.key].status_code

  # As for a preflight.
  content_handling = "CONVERT_TO_TEXT"

  response_parameters = merge(
    local.not_allowed_headers,
    { "method.response.header.Allow" = "'${each.value}'" },
  )

  # API Gateway selects the template by this key, but sends the Content-Type from the headers above.
  response_templates = {
    "application/json" = jsonencode(merge(
      local.problem_documents.method_not_allowed, { instance = "$context.requestId" }
    ))
  }
}
