# Inputs of the pipelines root. All but the last two are those of the service's environment.

variable "environment" {
  description = "Name of the environment: end of the roles' names, and the tag Environment."
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
  description = "Region of the service; in prod, the roles also get rights in the recovery region."
  type        = string

  validation {
    condition     = contains(["eu-west-1", "af-south-1"], var.aws_region)
    error_message = "aws_region must be eu-west-1 (dev, sit) or af-south-1 (prod)."
  }
}

variable "github_subject_prefix" {
  description = "Start of `sub` in the repository's tokens: sub_claim_prefix of GitHub's API."
  type        = string

  # Names of owners have letters, digits and hyphens (and an underscore for managed users); names
  # of repositories also have dots. "@" and the ids are missing in repositories that still use the
  # older form. No wildcard can pass.
  validation {
    condition = can(regex(
      "^repo:[A-Za-z0-9_-]+(@[0-9]+/[A-Za-z0-9._-]+@[0-9]+|/[A-Za-z0-9._-]+)$",
      var.github_subject_prefix,
    ))
    error_message = "github_subject_prefix must be like repo:OWNER@123/REPOSITORY@456, as gh prints."
  }
}

variable "create_oidc_provider" {
  description = "True creates GitHub's OIDC provider; false expects it from another stack."
  type        = bool
  default     = true
}
