# Inputs of a deployment, with their limits. The values of an environment are in
# environments/*.tfvars; a default here is the same for all environments.

# --- Account and region ---

variable "environment" {
  description = "Name of the environment: end of each resource's name, and the tag Environment."
  type        = string

  validation {
    condition     = contains(["dev", "sit", "prod"], var.environment)
    error_message = "environment must be dev, sit or prod: pass -var-file=environments/NAME.tfvars."
  }
}

variable "aws_account_id" {
  description = "Account of this environment; Terraform rejects credentials of other accounts."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id must be the account's 12 digits, for example 536580886816."
  }
}

variable "aws_region" {
  description = "Region of the deployment."
  type        = string

  validation {
    condition     = contains(["eu-west-1", "af-south-1"], var.aws_region)
    error_message = "aws_region must be eu-west-1 (dev, sit, prod's recovery) or af-south-1 (prod)."
  }
}

# --- The table, which another repository creates ---

variable "table_name" {
  description = "Name of the products table; null means products-ENVIRONMENT."
  type        = string
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name must have 3 to 255 letters, digits, dots, hyphens or underscores."
  }
}

variable "former_table_name" {
  description = "Table that earlier versions of the functions still use, so they keep their rights."
  type        = string
  default     = null

  validation {
    condition = (
      var.former_table_name == null
      || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.former_table_name))
    )
    error_message = "former_table_name must be the name of a table, or null."
  }

  validation {
    condition = (
      var.former_table_name == null
      || var.former_table_name != coalesce(var.table_name, "products-${var.environment}")
    )
    error_message = "former_table_name must differ from table_name, which is the new table."
  }
}

variable "schema_file" {
  description = "JSON file of the table's keys and index; null means schemas/products.schema.json."
  type        = string
  default     = null

  validation {
    condition     = var.schema_file == null || try(fileexists(var.schema_file), false)
    error_message = "schema_file must be the path of an existing file, or null for the default."
  }
}

# --- The functions ---

variable "package_dir" {
  description = "Folder of the zips from `make package`: list_products.zip, get_product.zip, ..."
  type        = string
  default     = "../dist"

  validation {
    condition     = length(trimspace(var.package_dir)) > 0
    error_message = "package_dir must be the folder that `make package` writes to, such as ../dist."
  }
}

variable "architecture" {
  description = "Processor of the functions; the zips must be packaged for the same one."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64, as passed to scripts/package_lambdas.sh."
  }
}

# `make sizes` decides the default: docs/performance.md, "Memory sizes".
variable "memory_size" {
  description = "Memory of each function in MB; Lambda gives processor time in proportion."
  type        = number
  default     = 512

  validation {
    condition = (
      var.memory_size >= 128 && var.memory_size <= 10240
      && floor(var.memory_size) == var.memory_size
    )
    error_message = "memory_size must be a whole number of MB from 128 to 10240."
  }
}

variable "timeout" {
  description = "Seconds after which Lambda stops a function; API Gateway waits 29 at most."
  type        = number
  default     = 10

  # A function may wait 3 s for DynamoDB; API Gateway waits 29 s for a function.
  validation {
    condition     = var.timeout >= 4 && var.timeout <= 29 && floor(var.timeout) == var.timeout
    error_message = "timeout must be a whole number of seconds from 4 to 29."
  }
}

variable "reserved_concurrency" {
  description = "Reserved (and maximum) concurrent executions of each function; -1 for none."
  type        = number
  default     = -1

  validation {
    condition     = var.reserved_concurrency == -1 || var.reserved_concurrency >= 1
    error_message = "reserved_concurrency must be at least 1, or -1: 0 stops the function."
  }
}

variable "snapstart" {
  description = "True starts published versions from a snapshot (SnapStart); each version costs."
  type        = bool
  default     = false
}

variable "log_level" {
  description = "Lowest level of the functions' log lines."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO"], var.log_level)
    error_message = "log_level must be INFO or DEBUG: metric filters count lines of level INFO."
  }
}

variable "read_cache_control" {
  description = "Cache-Control of successful reads; no-cache makes caches revalidate by ETag."
  type        = string
  default     = "no-cache"

  validation {
    condition     = can(regex("^[a-z0-9=, -]+$", var.read_cache_control))
    error_message = "read_cache_control must be in lower case, such as \"public, max-age=60\"."
  }
}

variable "read_only" {
  description = "True rejects each write with 503 while reads work: for migrations and recovery."
  type        = bool
  default     = false
}

variable "enable_product_indexes" {
  description = "True offers sorting by price and name, and search by name; it needs two indexes."
  type        = bool
  default     = false
}

# --- After a write: all of it is off by default ---

variable "enable_change_events" {
  description = "True puts each change of a product on an event bus; it needs the table's stream."
  type        = bool
  default     = false
}

variable "enable_audit_log" {
  description = "True keeps each change as an object in a bucket; it switches change events on too."
  type        = bool
  default     = false
}

variable "enable_async_writes" {
  description = "True accepts writes with Prefer: respond-async, and carries them out from a queue."
  type        = bool
  default     = false
}

variable "enable_opensearch" {
  description = "True keeps a search index in OpenSearch; it switches change events on too."
  type        = bool
  default     = false

  validation {
    condition = !var.enable_opensearch || (
      var.opensearch_endpoint != null && var.opensearch_domain_arn != null
    )
    error_message = "enable_opensearch needs opensearch_endpoint and opensearch_domain_arn."
  }
}

variable "opensearch_endpoint" {
  description = "Endpoint URL of the OpenSearch domain of the search index, without a path."
  type        = string
  default     = null

  validation {
    condition = var.opensearch_endpoint == null || can(
      regex(var.require_tls ? "^https://[^/]+$" : "^https?://[^/]+$", var.opensearch_endpoint)
    )
    error_message = "opensearch_endpoint must be like https://search-x.eu-west-1.es.amazonaws.com."
  }
}

variable "opensearch_domain_arn" {
  description = "ARN of that OpenSearch domain; it is never created here."
  type        = string
  default     = null

  validation {
    condition = var.opensearch_domain_arn == null || can(
      regex("^arn:aws:es:[a-z0-9-]+:[0-9]{12}:domain/[a-z0-9-]+$", var.opensearch_domain_arn)
    )
    error_message = "opensearch_domain_arn must be like arn:aws:es:eu-west-1:123456789012:domain/x."
  }
}

variable "pause_search_index" {
  description = "True leaves changes in the queue of the search index: for work on the domain."
  type        = bool
  default     = false
}

variable "enable_cloudfront_cache" {
  description = "True puts CloudFront before the API, and invalidates it after changes."
  type        = bool
  default     = false
}

variable "audit_lifecycle_days" {
  description = "Days until an object of the audit trail moves to Glacier."
  type        = number
  default     = 365

  validation {
    condition = (
      var.audit_lifecycle_days >= 1 && floor(var.audit_lifecycle_days) == var.audit_lifecycle_days
    )
    error_message = "audit_lifecycle_days must be a whole number of at least 1."
  }
}

variable "audit_retention_days" {
  description = "Days that Object Lock (governance) keeps objects of the audit trail; null for none."
  type        = number
  default     = null

  validation {
    condition = var.audit_retention_days == null || try(
      var.audit_retention_days >= 1 && var.audit_retention_days <= 36500
      && floor(var.audit_retention_days) == var.audit_retention_days,
      false
    )
    error_message = "audit_retention_days must be a whole number from 1 to 36500, or null."
  }
}

variable "require_tls" {
  description = "True rejects requests without TLS to the queues and to the audit trail's bucket."
  type        = bool
  default     = true
}

variable "keep_audit_bucket" {
  description = "True keeps the bucket of the audit trail while enable_audit_log is false."
  type        = bool
  default     = false
}

# --- The edge cache ---

variable "edge_cache_seconds" {
  description = "Seconds that CloudFront may keep a read, where enable_cloudfront_cache is true."
  type        = number
  default     = 60

  validation {
    condition = (
      var.edge_cache_seconds >= 1 && var.edge_cache_seconds <= 86400
      && floor(var.edge_cache_seconds) == var.edge_cache_seconds
    )
    error_message = "edge_cache_seconds must be a whole number of seconds from 1 to 86400."
  }
}

variable "cloudfront_distribution_id" {
  description = "Id of an existing distribution to invalidate; null creates one."
  type        = string
  default     = null

  validation {
    condition = (
      var.cloudfront_distribution_id == null
      || can(regex("^[A-Z0-9]{8,32}$", var.cloudfront_distribution_id))
    )
    error_message = "cloudfront_distribution_id must be like E2EXAMPLE1234, or null."
  }
}

variable "cloudfront_domain_name" {
  description = "Host name of callers at CloudFront; it needs cloudfront_certificate_arn."
  type        = string
  default     = null

  validation {
    condition = (
      var.cloudfront_domain_name == null
      || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.cloudfront_domain_name))
    )
    error_message = "cloudfront_domain_name must be a host name such as shop.kimmyai.io, or null."
  }

  validation {
    condition     = (var.cloudfront_certificate_arn == null) == (var.cloudfront_domain_name == null)
    error_message = "cloudfront_domain_name and cloudfront_certificate_arn need each other."
  }

  # CloudFront would call itself.
  validation {
    condition = (
      var.cloudfront_domain_name == null || var.cloudfront_domain_name != var.custom_domain_name
    )
    error_message = join(" ", [
      "cloudfront_domain_name must differ from custom_domain_name, which is the address behind",
      "CloudFront: give the API another custom domain, such as origin.kimmyai.io.",
    ])
  }
}

variable "cloudfront_certificate_arn" {
  description = "Certificate in us-east-1 for cloudfront_domain_name; TLS 1.2 needs it."
  type        = string
  default     = null

  validation {
    condition = (
      var.cloudfront_certificate_arn == null
      || can(regex("^arn:aws:acm:us-east-1:[0-9]{12}:certificate/", var.cloudfront_certificate_arn))
    )
    error_message = "cloudfront_certificate_arn must be of ACM in us-east-1, or null."
  }
}

variable "cloudfront_price_class" {
  description = "Edges that serve callers: PriceClass_200 has those in Africa, PriceClass_100 not."
  type        = string
  default     = "PriceClass_200"

  validation {
    condition = contains(
      ["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.cloudfront_price_class
    )
    error_message = "cloudfront_price_class must be PriceClass_100, PriceClass_200, PriceClass_All."
  }
}

# --- The API ---

variable "stage_name" {
  description = "Name of the API's stage, and start of the path on the API's default endpoint."
  type        = string
  default     = "v1_0"

  validation {
    condition     = can(regex("^[a-zA-Z0-9_]{1,128}$", var.stage_name))
    error_message = "stage_name must have 1 to 128 letters, digits or underscores, such as v1_0."
  }
}

variable "cors_allowed_origins" {
  description = "Origins whose pages may read the API: scheme and host, no path; or a single *."
  type        = list(string)

  validation {
    condition = length(var.cors_allowed_origins) > 0 && (
      join("", var.cors_allowed_origins) == "*" ||
      alltrue([
        for origin in var.cors_allowed_origins :
        can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))
      ])
    )
    error_message = "cors_allowed_origins must be [\"*\"] or a list of scheme://host[:port]."
  }
}

variable "stage_throttle_rate" {
  description = "Rate limit of each method in requests a second, over all callers."
  type        = number
  default     = 100

  validation {
    condition     = var.stage_throttle_rate >= 1
    error_message = "stage_throttle_rate must be at least 1 request a second."
  }
}

variable "stage_throttle_burst" {
  description = "Burst limit of each method in requests, over all callers."
  type        = number
  default     = 100

  validation {
    condition     = var.stage_throttle_burst >= 1
    error_message = "stage_throttle_burst must be at least 1 request."
  }
}

variable "write_throttle_rate" {
  description = "Rate limit of each API key for writes in requests a second."
  type        = number
  default     = 50

  validation {
    condition     = var.write_throttle_rate >= 1
    error_message = "write_throttle_rate must be at least 1 request a second."
  }
}

variable "write_throttle_burst" {
  description = "Burst limit of each API key for writes in requests."
  type        = number
  default     = 50

  validation {
    condition     = var.write_throttle_burst >= 1
    error_message = "write_throttle_burst must be at least 1 request."
  }
}

variable "writers" {
  description = "Names of those who write; each has an API key, and pipelines use the first one's."
  type        = list(string)
  default     = ["admin"]

  validation {
    condition = (
      length(var.writers) > 0
      && length(distinct(var.writers)) == length(var.writers)
      && alltrue([for name in var.writers : can(regex("^[a-z0-9][a-z0-9-]{0,62}$", name))])
    )
    error_message = "writers must be different names of lower-case letters, digits and hyphens."
  }
}

variable "api_key_values" {
  description = "API keys by writer; API Gateway generates those of writers that are not listed."
  type        = map(string)
  default     = {}
  sensitive   = true

  validation {
    condition = alltrue([
      for key in values(var.api_key_values) : can(regex("^[A-Za-z0-9_-]{20,128}$", key))
    ])
    error_message = "api_key_values must have 20 to 128 letters, digits, hyphens or underscores."
  }

  validation {
    condition     = length(setsubtract(keys(var.api_key_values), var.writers)) == 0
    error_message = "api_key_values must list only writers: add the others to writers, or omit them."
  }
}

variable "custom_domain_name" {
  description = "Existing regional custom domain for the API; null for none."
  type        = string
  default     = null

  validation {
    condition = (
      var.custom_domain_name == null
      || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.custom_domain_name))
    )
    error_message = "custom_domain_name must be a host name such as api.kimmyai.io, or null."
  }
}

variable "custom_domain_base_path" {
  description = "Path of this API on the custom domain."
  type        = string
  default     = "v1.0"

  validation {
    condition     = can(regex("^[a-zA-Z0-9$_.+!*'()-]+$", var.custom_domain_base_path))
    error_message = "custom_domain_base_path must be one path segment, for example v1.0."
  }
}

# --- The firewall ---

variable "waf_enabled" {
  description = "True adds a WAF web ACL: AWS's managed rules and a rate limit for each address."
  type        = bool
  default     = false
}

variable "waf_rate_limit" {
  description = "Requests of one IP address in five minutes before WAF blocks it."
  type        = number
  default     = 2000

  validation {
    condition     = var.waf_rate_limit >= 10 && var.waf_rate_limit <= 2000000000
    error_message = "waf_rate_limit must be from 10 to 2,000,000,000, the limits of WAF."
  }
}

variable "waf_edge_rate_limit" {
  description = "The same for any address that connects, also CloudFront's, with the edge cache."
  type        = number
  default     = 20000

  validation {
    condition     = var.waf_edge_rate_limit >= 10 && var.waf_edge_rate_limit <= 2000000000
    error_message = "waf_edge_rate_limit must be from 10 to 2,000,000,000, the limits of WAF."
  }
}

# --- Logs and alarms ---

variable "log_retention_days" {
  description = "Days that log groups keep their lines."
  type        = number

  validation {
    condition = contains(
      [30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days
    )
    error_message = "log_retention_days must be 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "alert_email" {
  description = "E-mail address for alarms, which must confirm the subscription; optional in dev."
  type        = string
  default     = null

  validation {
    condition = (
      var.alert_email == null || can(regex("^([^@ ]+@[^@ ]+\\.[^@ ]+)?$", var.alert_email))
    )
    error_message = "alert_email must be one e-mail address, or null."
  }

  validation {
    condition = (
      var.environment == "dev" || var.waive_alert_email
      || (var.alert_email != null && var.alert_email != "")
    )
    error_message = join(" ", [
      "alert_email must be set for sit and prod: set TF_VAR_alert_email (in GitHub, the variable",
      "ALERT_EMAIL of the environment that plans), or waive it with waive_alert_email = true.",
    ])
  }
}

variable "waive_alert_email" {
  description = "True deploys sit or prod without alert_email: alarms reach no person by mail."
  type        = bool
  default     = false
}

variable "alarm_function_errors" {
  description = "Errors of one function in a minute that raise its alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_function_errors >= 1
    error_message = "alarm_function_errors must be at least 1."
  }
}

variable "alarm_function_throttles" {
  description = "Throttled invocations of one function in a minute that raise its alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_function_throttles >= 1
    error_message = "alarm_function_throttles must be at least 1."
  }
}

variable "alarm_5xx_percent" {
  description = "Percentage of 5xx responses in five minutes above which the alarm is raised."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_5xx_percent >= 0 && var.alarm_5xx_percent < 100
    error_message = "alarm_5xx_percent must be from 0 up to, but not including, 100."
  }
}

variable "alarm_5xx_minimum" {
  description = "Number of 5xx responses in five minutes below which no alarm is raised."
  type        = number
  default     = 5

  validation {
    condition     = var.alarm_5xx_minimum >= 1
    error_message = "alarm_5xx_minimum must be at least 1."
  }
}

variable "alarm_4xx_percent" {
  description = "Percentage of 4xx responses in five minutes above which the alarm is raised."
  type        = number
  default     = 20

  validation {
    condition     = var.alarm_4xx_percent >= 0 && var.alarm_4xx_percent < 100
    error_message = "alarm_4xx_percent must be from 0 up to, but not including, 100."
  }
}

variable "alarm_4xx_minimum" {
  description = "Number of 4xx responses in five minutes below which no alarm is raised."
  type        = number
  default     = 20

  validation {
    condition     = var.alarm_4xx_minimum >= 1
    error_message = "alarm_4xx_minimum must be at least 1."
  }
}

variable "alarm_latency_p95_ms" {
  description = "Latency in ms, p95 over five minutes, above which the alarm is raised."
  type        = number
  default     = 250

  validation {
    condition     = var.alarm_latency_p95_ms >= 1 && var.alarm_latency_p95_ms <= 29000
    error_message = "alarm_latency_p95_ms must be from 1 to 29000, API Gateway's limit."
  }
}

variable "alarm_table_throttles" {
  description = "Throttled requests to DynamoDB in a minute that raise the alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_table_throttles >= 1
    error_message = "alarm_table_throttles must be at least 1."
  }
}

variable "alarm_table_system_errors" {
  description = "System errors (5xx) of DynamoDB in a minute that raise the alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_table_system_errors >= 1
    error_message = "alarm_table_system_errors must be at least 1."
  }
}

variable "alarm_unreadable_items" {
  description = "Encounters of unreadable items in five minutes that raise the alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_unreadable_items >= 1
    error_message = "alarm_unreadable_items must be at least 1."
  }
}
