# Everything that may differ between two deployments, with its limits. Values of an environment stand in
# environments/*.tfvars; a default here is what all of them share.

# --- Where ---

variable "environment" {
  description = "Name of the environment; the last part of every resource's name and the value of the tag Environment."
  type        = string

  validation {
    condition     = contains(["dev", "sit", "prod"], var.environment)
    error_message = "environment must be dev, sit or prod: pass the file of that environment with -var-file=environments/NAME.tfvars."
  }
}

variable "aws_account_id" {
  description = "The account this environment lives in; credentials of any other account are refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id must be the account's 12 digits, for example 536580886816."
  }
}

variable "aws_region" {
  description = "The region to deploy to."
  type        = string

  validation {
    condition     = contains(["eu-west-1", "af-south-1"], var.aws_region)
    error_message = "aws_region must be eu-west-1 (dev, sit, recovery of prod) or af-south-1 (prod)."
  }
}

# --- The table, which another repository creates ---

variable "table_name" {
  description = "Name of the products table; null means products-ENVIRONMENT."
  type        = string
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name must have 3 to 255 letters, digits, dots, hyphens or underscores, or be null for products-ENVIRONMENT."
  }
}

variable "schema_file" {
  description = "Path of the JSON file that states the table's keys and index; null means schemas/products.schema.json of this repository."
  type        = string
  default     = null

  validation {
    condition     = var.schema_file == null || try(fileexists(var.schema_file), false)
    error_message = "schema_file names no file: give the path of products.schema.json, or null for the repository's own."
  }
}

# --- The functions ---

variable "package_dir" {
  description = "Folder of the zips that `make package` builds: list_products.zip, get_product.zip, and so on."
  type        = string
  default     = "../dist"

  validation {
    condition     = length(trimspace(var.package_dir)) > 0
    error_message = "package_dir must name the folder that `make package` wrote the zips to, for example ../dist."
  }
}

variable "architecture" {
  description = "Processor the functions run on; the zips must be packaged for the same one."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64, the same as in `scripts/package_lambdas.sh --arch`."
  }
}

variable "memory_size" {
  description = "Memory of each function in MB; Lambda gives processor time in proportion."
  type        = number
  default     = 512

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && floor(var.memory_size) == var.memory_size
    error_message = "memory_size must be a whole number of MB from 128 to 10240."
  }
}

variable "timeout" {
  description = "Seconds after which Lambda stops a function; API Gateway itself gives up after 29."
  type        = number
  default     = 10

  validation {
    condition     = var.timeout >= 4 && var.timeout <= 29 && floor(var.timeout) == var.timeout
    error_message = "timeout must be a whole number of seconds from 4 (a function may wait 3 s for DynamoDB) to 29 (API Gateway's limit)."
  }
}

variable "reserved_concurrency" {
  description = "Concurrent executions reserved for, and allowed to, each function; -1 shares the account's pool."
  type        = number
  default     = -1

  validation {
    condition     = var.reserved_concurrency == -1 || var.reserved_concurrency >= 1
    error_message = "reserved_concurrency must be at least 1, or -1 for none; 0 would refuse every request."
  }
}

variable "snapstart" {
  description = "Whether published versions start from a snapshot (Lambda SnapStart)."
  type        = bool
  default     = true
}

variable "log_level" {
  description = "Least level of the functions' log lines."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO"], var.log_level)
    error_message = "log_level must be INFO or DEBUG: the metric filters count the INFO line of each request."
  }
}

variable "read_cache_control" {
  description = "Cache-Control of successful reads; no-cache makes a cache ask again by ETag."
  type        = string
  default     = "no-cache"

  validation {
    condition     = can(regex("^[a-z0-9=, -]+$", var.read_cache_control))
    error_message = "read_cache_control must be a Cache-Control value in lower case, for example \"no-cache\" or \"public, max-age=60\"."
  }
}

variable "read_only" {
  description = "True makes every write answer 503 while reads go on: for migrations and recovery."
  type        = bool
  default     = false
}

# --- The API ---

variable "stage_name" {
  description = "Name of the API's stage, and the first part of the path on the API's own address."
  type        = string
  default     = "v1_0"

  validation {
    condition     = can(regex("^[a-zA-Z0-9_]{1,128}$", var.stage_name))
    error_message = "stage_name must have 1 to 128 letters, digits or underscores, which is all that API Gateway allows, for example v1_0."
  }
}

variable "cors_allowed_origins" {
  description = "Origins whose pages may read the API: scheme and host without a path, or a single *."
  type        = list(string)

  validation {
    condition = length(var.cors_allowed_origins) > 0 && (
      join("", var.cors_allowed_origins) == "*" ||
      alltrue([for origin in var.cors_allowed_origins : can(regex("^https?://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    )
    error_message = "cors_allowed_origins must be [\"*\"] or a list of origins such as https://kimmyai.io: scheme and host in lower case, a port if need be, no path and no slash at the end."
  }
}

variable "stage_throttle_rate" {
  description = "Requests a second that each method of the stage takes on, over all callers."
  type        = number
  default     = 100

  validation {
    condition     = var.stage_throttle_rate >= 1
    error_message = "stage_throttle_rate must be at least 1 request a second."
  }
}

variable "stage_throttle_burst" {
  description = "Requests that a method of the stage takes on at once before the rate applies."
  type        = number
  default     = 100

  validation {
    condition     = var.stage_throttle_burst >= 1
    error_message = "stage_throttle_burst must be at least 1 request."
  }
}

variable "write_throttle_rate" {
  description = "Requests a second that the API key of the usage plan may make."
  type        = number
  default     = 50

  validation {
    condition     = var.write_throttle_rate >= 1
    error_message = "write_throttle_rate must be at least 1 request a second."
  }
}

variable "write_throttle_burst" {
  description = "Requests that the API key of the usage plan may make at once before the rate applies."
  type        = number
  default     = 50

  validation {
    condition     = var.write_throttle_burst >= 1
    error_message = "write_throttle_burst must be at least 1 request."
  }
}

variable "api_key_value" {
  description = "Value of the key for writes; null, as in every account, lets API Gateway make it. An emulator may want one given."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.api_key_value == null || can(regex("^[A-Za-z0-9_-]{20,128}$", var.api_key_value))
    error_message = "api_key_value must have 20 to 128 letters, digits, hyphens or underscores, or be null so that API Gateway makes it."
  }
}

variable "custom_domain_name" {
  description = "An existing regional custom domain of API Gateway to serve the API on; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.custom_domain_name == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.custom_domain_name))
    error_message = "custom_domain_name must be a host name such as api.kimmyai.io, without https:// and path, or null."
  }
}

variable "custom_domain_base_path" {
  description = "The path on the custom domain that leads to this API."
  type        = string
  default     = "v1.0"

  validation {
    condition     = can(regex("^[a-zA-Z0-9$_.+!*'()-]+$", var.custom_domain_base_path))
    error_message = "custom_domain_base_path must be one path segment without slashes, for example v1.0."
  }
}

variable "manage_api_gateway_account" {
  description = "True lets this deployment set the account's one API Gateway role for CloudWatch; false where something else already has."
  type        = bool
  default     = false
}

# --- The firewall ---

variable "waf_enabled" {
  description = "True puts a WAF web ACL with AWS's managed rules and a rate rule before the stage."
  type        = bool
  default     = false
}

variable "waf_rate_limit" {
  description = "Requests that one address may make in five minutes before WAF blocks it."
  type        = number
  default     = 2000

  validation {
    condition     = var.waf_rate_limit >= 10 && var.waf_rate_limit <= 2000000000
    error_message = "waf_rate_limit must be from 10 to 2,000,000,000 requests in five minutes (WAF's limits)."
  }
}

# --- Logs and alarms ---

variable "log_retention_days" {
  description = "Days that log groups keep their lines."
  type        = number

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days must be one of 30, 60, 90, 120, 150, 180, 365, 400, 545 and 731, which CloudWatch Logs offers."
  }
}

variable "alert_email" {
  description = "Address that alarms are mailed to; it must confirm the subscription. Null for none."
  type        = string
  default     = null

  validation {
    condition     = var.alert_email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.alert_email))
    error_message = "alert_email must be one e-mail address, or null."
  }
}

variable "alarm_function_errors" {
  description = "Errors of one function in a minute that raise its alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_function_errors >= 1
    error_message = "alarm_function_errors must be at least 1: the alarm is raised from that number on."
  }
}

variable "alarm_function_throttles" {
  description = "Throttled invocations of one function in a minute that raise its alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_function_throttles >= 1
    error_message = "alarm_function_throttles must be at least 1: the alarm is raised from that number on."
  }
}

variable "alarm_5xx_percent" {
  description = "Percentage of answers with a status from 500 on, over five minutes, above which the alarm is raised."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_5xx_percent >= 0 && var.alarm_5xx_percent < 100
    error_message = "alarm_5xx_percent must be a percentage from 0 up to, but not including, 100."
  }
}

variable "alarm_4xx_percent" {
  description = "Percentage of answers with a status from 400 to 499, over five minutes, above which the alarm is raised."
  type        = number
  default     = 20

  validation {
    condition     = var.alarm_4xx_percent >= 0 && var.alarm_4xx_percent < 100
    error_message = "alarm_4xx_percent must be a percentage from 0 up to, but not including, 100."
  }
}

variable "alarm_latency_p95_ms" {
  description = "Milliseconds that 95 of 100 answers must not exceed, over five minutes."
  type        = number
  default     = 250

  validation {
    condition     = var.alarm_latency_p95_ms >= 1 && var.alarm_latency_p95_ms <= 29000
    error_message = "alarm_latency_p95_ms must be from 1 to 29000 milliseconds (API Gateway's limit)."
  }
}

variable "alarm_table_throttles" {
  description = "Requests that DynamoDB throttled in a minute that raise the alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_table_throttles >= 1
    error_message = "alarm_table_throttles must be at least 1: the alarm is raised from that number on."
  }
}

variable "alarm_table_system_errors" {
  description = "Requests that DynamoDB failed by a fault of its own in a minute that raise the alarm."
  type        = number
  default     = 1

  validation {
    condition     = var.alarm_table_system_errors >= 1
    error_message = "alarm_table_system_errors must be at least 1: the alarm is raised from that number on."
  }
}
