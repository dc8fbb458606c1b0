# ParkVolumes works within one region. One module block and one provider for each region that has instances.

provider "aws" {
  alias  = "seoul"
  region = "ap-northeast-2"
}

provider "aws" {
  alias  = "frankfurt"
  region = "eu-central-1"
}

module "seoul" {
  source    = "../.."
  providers = { aws = aws.seoul }
}

module "frankfurt" {
  source    = "../.."
  providers = { aws = aws.frankfurt }
}

# For the people who start instances. IAM is global: the policies differ by the function that they name.
resource "aws_iam_policy" "start_instances" {
  for_each = {
    seoul     = module.seoul.start_policy_json
    frankfurt = module.frankfurt.start_policy_json
  }
  provider = aws.seoul

  name        = "park-volumes-start-in-${each.key}"
  description = "Start and stop parked instances in ${each.key} through the Function URL of ParkVolumes."
  policy      = each.value
}
