# Inputs of the region root. The values are those of the service's environment, except aws_region
# for the recovery region.

variable "environment" {
  description = "Name of the environment: part of the role's name, and the tag Environment."
  type        = string

  validation {
    condition     = contains(["dev", "sit", "prod"], var.environment)
    error_message = "environment must be dev, sit or prod: pass the environment's tfvars file."
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
  description = "Region whose API Gateway gets the role."
  type        = string

  validation {
    condition     = contains(["eu-west-1", "af-south-1"], var.aws_region)
    error_message = "aws_region must be eu-west-1 (dev, sit, prod's recovery) or af-south-1 (prod)."
  }
}
