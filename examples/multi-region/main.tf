# One deployment for two regions. It stands in Seoul, and looks after Frankfurt as well.

provider "aws" {
  alias  = "seoul"
  region = "ap-northeast-2"
}

provider "aws" {
  alias  = "frankfurt"
  region = "eu-central-1"
}

module "park_volumes" {
  source    = "../.."
  providers = { aws = aws.seoul }

  regions = ["eu-central-1"] # or ["all"]: every region that the account has enabled
}

# Reports at once what happens in Frankfurt. Without it, a sweep finds that within minutes.
module "frankfurt" {
  source    = "../../modules/region"
  providers = { aws = aws.frankfurt }

  deployment = module.park_volumes.deployment
}

# For the people who start instances, in whichever region.
resource "aws_iam_policy" "start_instances" {
  provider = aws.seoul

  name        = "park-volumes-start"
  description = "Start and stop parked instances through the Function URL of ParkVolumes."
  policy      = module.park_volumes.start_policy_json
}
