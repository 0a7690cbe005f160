# Inputs of the table root. The schema file sets the table's keys and index, so no input does.

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

variable "table_name" {
  description = "Name of the products table; null means products-ENVIRONMENT."
  type        = string
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name must have 3 to 255 letters, digits, dots, hyphens or underscores."
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

variable "deletion_protection" {
  description = "True makes DynamoDB reject the deletion of the table."
  type        = bool
  default     = true
}

variable "enable_product_indexes" {
  description = "True adds the indexes by price and by name, for sorting and searching."
  type        = bool
  default     = false
}

variable "enable_stream" {
  description = "True switches the stream on, with both images, for change events."
  type        = bool
  default     = false
}
