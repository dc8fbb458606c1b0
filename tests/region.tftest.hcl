# What modules/region makes of a deployment, as far as a plan knows it. The real provider, without an account.

provider "aws" {
  region                      = "ap-northeast-2"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

provider "aws" {
  alias                       = "frankfurt"
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

run "for_a_region" {
  command   = plan
  providers = { aws = aws.frankfurt }

  module {
    source = "./modules/region"
  }

  variables {
    deployment = {
      name          = "parking"
      names         = ["parking", "park-volumes"]
      regions       = ["eu-central-1"]
      event_bus_arn = "arn:aws:events:ap-northeast-2:123456789012:event-bus/default"
      rules = {
        instance-stopped = { description = "An instance has stopped.", pattern = "{\"source\":[\"aws.ec2\"]}" }
      }
      recycle_bin_days         = 7
      tags                     = { Team = "data" }
      role_path                = "/division/"
      permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    }
  }

  assert {
    condition = alltrue([
      for key, target in aws_cloudwatch_event_target.home :
      target.arn == "arn:aws:events:ap-northeast-2:123456789012:event-bus/default" && target.rule == "parking-forward-instance-stopped"
    ]) && length(aws_cloudwatch_event_target.home) == 1
    error_message = "Every event goes to the bus of the deployment, by a rule that a whole deployment of the same name does not have."
  }
  assert {
    condition     = aws_iam_role.forward.name == "parking-forward-eu-central-1" && aws_iam_role.forward.path == "/division/" && aws_iam_role.forward.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    error_message = "The role is that of the region, with the path and the boundary of the deployment."
  }
  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.forward.json).Statement : [statement.Action, statement.Resource]
    ] == [["events:PutEvents", "arn:aws:events:ap-northeast-2:123456789012:event-bus/default"]]
    error_message = "The role puts events on that bus, and does nothing else."
  }
  assert {
    condition     = jsondecode(data.aws_iam_policy_document.assume_role.json).Statement[0].Condition.ArnLike["aws:SourceArn"] == "arn:aws:events:eu-central-1:123456789012:rule/parking-forward-*"
    error_message = "Only the rules of this module use the role."
  }
  assert {
    condition     = toset(aws_rbin_rule.snapshots[0].resource_tags[*].resource_tag_value) == toset(["parking", "park-volumes"])
    error_message = "The Recycle Bin keeps the snapshots of every name there, too."
  }
}

run "for_a_region_that_is_not_covered" {
  command   = plan
  providers = { aws = aws.frankfurt }

  module {
    source = "./modules/region"
  }

  variables {
    deployment = {
      name                     = "parking"
      names                    = ["parking"]
      regions                  = ["us-east-1"]
      event_bus_arn            = "arn:aws:events:ap-northeast-2:123456789012:event-bus/default"
      rules                    = {}
      recycle_bin_days         = 0
      tags                     = {}
      role_path                = "/"
      permissions_boundary_arn = null
    }
  }

  expect_failures = [data.aws_service.ec2]
}

run "for_a_region_that_is_the_first" {
  command = plan

  module {
    source = "./modules/region"
  }

  variables {
    deployment = {
      name                     = "parking"
      names                    = ["parking"]
      regions                  = ["all"]
      event_bus_arn            = "arn:aws:events:ap-northeast-2:123456789012:event-bus/default"
      rules                    = {}
      recycle_bin_days         = 0
      tags                     = {}
      role_path                = "/"
      permissions_boundary_arn = null
    }
  }

  expect_failures = [data.aws_service.ec2]
}

run "for_a_region_in_another_account" {
  command   = plan
  providers = { aws = aws.frankfurt }

  module {
    source = "./modules/region"
  }

  variables {
    deployment = {
      name                     = "parking"
      names                    = ["parking"]
      regions                  = ["all"]
      event_bus_arn            = "arn:aws:events:ap-northeast-2:999999999999:event-bus/default"
      rules                    = {}
      recycle_bin_days         = 0
      tags                     = {}
      role_path                = "/"
      permissions_boundary_arn = null
    }
  }

  expect_failures = [data.aws_caller_identity.current]
}

run "for_a_region_with_another_bus" {
  command   = plan
  providers = { aws = aws.frankfurt }

  module {
    source = "./modules/region"
  }

  variables {
    deployment = {
      name                     = "parking"
      names                    = ["parking"]
      regions                  = ["all"]
      event_bus_arn            = "arn:aws:events:ap-northeast-2:123456789012:event-bus/orders"
      rules                    = {}
      recycle_bin_days         = 0
      tags                     = {}
      role_path                = "/"
      permissions_boundary_arn = null
    }
  }

  expect_failures = [var.deployment]
}
