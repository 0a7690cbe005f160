# The state's place in S3, beside the state of the service: bucket and region are in
# ../environments/*.s3.tfbackend.

terraform {
  backend "s3" {
    key          = "2_bbws_product_lambda/pipelines.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
