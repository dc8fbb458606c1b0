# One root for all accounts: applied once for each, with a state of its own. accounts.json alone says which there are.

locals {
  accounts = jsondecode(file("${path.module}/accounts.json"))
  account  = local.accounts[var.account]
}

provider "aws" {
  region              = local.account.region
  allowed_account_ids = [local.account.id]

  assume_role {
    role_arn     = "arn:aws:iam::${local.account.id}:role/${var.role_name}"
    session_name = "park-volumes"
  }
}

module "park_volumes" {
  source = "../.."
}

# For the people of this account who start instances.
resource "aws_iam_policy" "start_instances" {
  name        = "park-volumes-start"
  description = "Start and stop parked instances through the Function URL of ParkVolumes."
  policy      = module.park_volumes.start_policy_json
}
