# SIT: deployed by hand, after an approval.
# All that can be switched on is off (../README.md, "After a write").
environment          = "sit"
aws_account_id       = "815856636111"
aws_region           = "eu-west-1"
log_retention_days   = 180
cors_allowed_origins = ["https://sit.kimmyai.io"]
