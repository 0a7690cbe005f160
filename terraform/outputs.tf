# Facts of a deployment for the pipeline, the scripts and people.

output "api_id" {
  description = "Id of the REST API."
  value       = aws_api_gateway_rest_api.product.id
}

output "stage_name" {
  description = "Name of the API's stage."
  value       = aws_api_gateway_stage.live.stage_name
}

output "api_url" {
  description = "URL of the API without /products, on the custom domain or else on the stage."
  value = (
    var.custom_domain_name == null
    ? aws_api_gateway_stage.live.invoke_url
    : "https://${var.custom_domain_name}/${var.custom_domain_base_path}"
  )
}

output "api_key" {
  description = "API key of the first writer, sent in the header x-api-key; pipelines use it."
  value       = aws_api_gateway_api_key.writer[var.writers[0]].value
  sensitive   = true
}

output "api_keys" {
  description = "API key of each writer."
  value       = { for writer, key in aws_api_gateway_api_key.writer : writer => key.value }
  sensitive   = true
}

output "api_key_ids" {
  description = "Id of each writer's API key, as in access logs and in the products' updatedBy."
  value       = { for writer, key in aws_api_gateway_api_key.writer : writer => key.id }
}

output "functions" {
  description = "Name, published version and alias of each function."
  value = {
    for key, function in aws_lambda_function.function : key => {
      name    = function.function_name
      version = function.version
      alias   = aws_lambda_alias.live[key].name
    }
  }
}

output "event_functions" {
  description = "Name, published version and alias of each event function that is switched on."
  value = {
    for key, function in aws_lambda_function.event_function : key => {
      name    = function.function_name
      version = function.version
      alias   = aws_lambda_alias.event_function[key].name
    }
  }
}

output "event_bus_name" {
  description = "Name of the event bus; null if change events are switched off."
  value       = one(aws_cloudwatch_event_bus.product[*].name)
}

output "audit_bucket" {
  description = "Name of the bucket of the audit trail; null if there is none."
  value       = one(aws_s3_bucket.audit[*].id)
}

output "edge_url" {
  description = "URL of the API at CloudFront without /products; null without a new distribution."
  value = one([
    for distribution in aws_cloudfront_distribution.edge : join("", [
      "https://",
      coalesce(var.cloudfront_domain_name, distribution.domain_name),
      local.edge_base_path,
    ])
  ])
}

output "cloudfront_distribution_id" {
  description = "Id of the distribution that is invalidated; null if the edge cache is off."
  value       = var.enable_cloudfront_cache ? local.distribution_id : null
}

output "edge_policies" {
  description = "What an existing distribution must use, by name; null if the edge cache is off."
  value = var.enable_cloudfront_cache ? {
    cache_policy            = aws_cloudfront_cache_policy.edge[0].id
    origin_request_policy   = aws_cloudfront_origin_request_policy.edge[0].id
    viewer_request_function = one(aws_cloudfront_function.viewer_address[*].arn)
    cached_paths            = local.edge_cached_paths
    origin                  = local.edge_origin_domain
  } : null
}

output "log_group_names" {
  description = "Log group of each function, and of the API's access log under `access`."
  value = merge(
    { for key, group in aws_cloudwatch_log_group.function : key => group.name },
    { for key, group in aws_cloudwatch_log_group.event_function : key => group.name },
    { access = aws_cloudwatch_log_group.access.name },
  )
}

output "table_name" {
  description = "Name of the products table."
  value       = data.aws_dynamodb_table.products.name
}

output "alarm_names" {
  description = "Names of all alarms; a traffic shift watches those of the API, table and functions."
  value = sort(concat(
    keys(local.function_alarms),
    keys(local.api_share_alarms),
    [aws_cloudwatch_metric_alarm.api_latency.alarm_name],
    keys(local.table_alarms),
    [aws_cloudwatch_metric_alarm.unreadable_items.alarm_name],
    keys(local.event_alarms),
  ))
}

output "alert_topic_arn" {
  description = "ARN of the SNS topic for alarms."
  value       = aws_sns_topic.alerts.arn
}

output "dashboard_url" {
  description = "URL of the dashboard in the CloudWatch console."
  value = join("", [
    "https://${var.aws_region}.console.aws.amazon.com/cloudwatch/home?region=${var.aws_region}",
    "#dashboards/dashboard/${aws_cloudwatch_dashboard.product.dashboard_name}",
  ])
}

output "web_acl_arn" {
  description = "ARN of the stage's WAF web ACL; null if waf_enabled is false."
  value       = one(aws_wafv2_web_acl.api[*].arn)
}
