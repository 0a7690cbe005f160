# PROD in the second region, after the loss of the first: see
# docs/runbooks/product_lambda_disaster_recovery.md. Only the region differs from prod.tfvars.
environment          = "prod"
aws_account_id       = "093646564004"
aws_region           = "eu-west-1"
log_retention_days   = 365
cors_allowed_origins = ["https://kimmyai.io"]
waf_enabled          = true
