# DEV: deployed by each push to main.
# All that can be switched on is off (../README.md, "After a write").
environment          = "dev"
aws_account_id       = "536580886816"
aws_region           = "eu-west-1"
log_retention_days   = 90
cors_allowed_origins = ["https://dev.kimmyai.io", "http://localhost:5173"]
