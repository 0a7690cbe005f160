# The state's place in S3. Bucket and region of each environment: environments/*.s3.tfbackend.
# The lock is an object beside the state (S3 conditional writes), so there is no lock table.

terraform {
  backend "s3" {
    key          = "2_bbws_product_lambda/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
