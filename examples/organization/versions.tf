terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }

  # Its bucket, region and key are told to init: one key for each account.
  backend "s3" {
    encrypt = true
  }
}
