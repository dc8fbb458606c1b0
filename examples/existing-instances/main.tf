# What is added to the stack: ParkVolumes, for all opted-in instances of the account and region ...
module "park_volumes" {
  source = "../.."
}

# ... and a provider that overlooks its tags on volumes that are on their way, for minutes.
provider "aws" {
  ignore_tags {
    key_prefixes = ["park-volumes:"]
  }
}

# Instances that no Terraform manages are opted in by id. On one that another stack manages, add the tag there: its next plan would
# take this one off.
resource "aws_ec2_tag" "opt_in" {
  for_each = var.unmanaged_instance_ids

  resource_id = each.value
  key         = "ParkVolumes"
  value       = "true"
}
