# PROD in the second region, after the loss of the first: these values, and those of prod.tfvars.
# See docs/runbooks/product_lambda_disaster_recovery.md.
aws_region = "eu-west-1"
