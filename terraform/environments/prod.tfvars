# PROD: deployed by hand from a release tag, after an approval. For the recovery in the second
# region see docs/runbooks/product_lambda_disaster_recovery.md.
# All that can be switched on is off (../README.md, "After a write").
environment          = "prod"
aws_account_id       = "093646564004"
aws_region           = "af-south-1"
log_retention_days   = 365
cors_allowed_origins = ["https://kimmyai.io"]
waf_enabled          = true
snapstart            = true
