# Where the state lives. Bucket and region differ between environments: see environments/*.s3.tfbackend.
# The lock is a file beside the state (S3 conditional writes), so no lock table is needed.

terraform {
  backend "s3" {
    key          = "2_bbws_product_lambda/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
