# What the table root can be told. The table's shape is not among it: that is the schema file's.

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

variable "deletion_protection" {
  description = "True makes DynamoDB refuse to delete the table."
  type        = bool
  default     = true
}
