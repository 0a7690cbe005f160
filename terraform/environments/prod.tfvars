# PROD: deployed by hand from a release tag. To recover in the second region, pass
# -var=aws_region=eu-west-1 and that region's state (docs/runbooks/product_lambda_disaster_recovery.md).
environment          = "prod"
aws_account_id       = "093646564004"
aws_region           = "af-south-1"
log_retention_days   = 365
cors_allowed_origins = ["https://kimmyai.io"]
waf_enabled          = true
