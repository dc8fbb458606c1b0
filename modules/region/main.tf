# Reports at once what happens in one more region: the events that the deployment listens to go on to its own region.

data "aws_caller_identity" "current" {
  # An event of another account would be about instances that the deployment cannot see.
  lifecycle {
    postcondition {
      condition     = self.account_id == split(":", var.deployment.event_bus_arn)[4]
      error_message = "The provider of this module must be of the account of the deployment, ${split(":", var.deployment.event_bus_arn)[4]}, and is of ${self.account_id}: set providers = { aws = ... } in the module block."
    }
  }
}

# aws_region would be the obvious source of the region, but provider 6 deprecates `name` and `id`, and 5.100 has no `region`.
data "aws_service" "ec2" {
  service_id = "ec2"

  lifecycle {
    postcondition {
      condition     = self.region != local.home
      error_message = "The provider of this module must be of another region than the deployment, which is in ${local.home} itself: set providers = { aws = ... } in the module block, for example to a provider with region = \"eu-central-1\"."
    }
    postcondition {
      condition     = contains(var.deployment.regions, "all") || contains(var.deployment.regions, self.region)
      error_message = "The deployment does not look after ${self.region}: add it to the input regions of the deployment, for example regions = [\"${self.region}\"]."
    }
  }
}

locals {
  partition = split(":", var.deployment.event_bus_arn)[1]
  home      = split(":", var.deployment.event_bus_arn)[3]
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_service.ec2.region

  # Other names than those of a whole deployment: one of the same name may still stand in this region.
  prefix = "${var.deployment.name}-forward"
}

# ---------------------------------------------------------------------------------------------------------------------
# Events
# ---------------------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_event_rule" "rule" {
  for_each = var.deployment.rules

  name          = "${local.prefix}-${each.key}"
  description   = "To ${local.home}: ${each.value.description}"
  event_pattern = each.value.pattern
  tags          = var.deployment.tags

  depends_on = [aws_iam_role.forward] # the name is nobody else's
}

# Without a dead-letter queue, which would have to be in this region: what does not arrive, the next sweep finds.
resource "aws_cloudwatch_event_target" "home" {
  for_each = var.deployment.rules

  rule      = aws_cloudwatch_event_rule.rule[each.key].name
  target_id = "home"
  arn       = var.deployment.event_bus_arn
  role_arn  = aws_iam_role.forward.arn

  depends_on = [aws_iam_role_policy.forward]
}

# Roles are global: the region is in the name.
resource "aws_iam_role" "forward" { # "already exists": this account has this module for this region and a deployment of this name
  name                 = "${local.prefix}-${local.region}"
  path                 = var.deployment.role_path
  description          = "ParkVolumes: forwards events of ${local.region} to ${local.home}, for the deployment ${var.deployment.name}."
  assume_role_policy   = data.aws_iam_policy_document.assume_role.json
  permissions_boundary = var.deployment.permissions_boundary_arn
  tags                 = var.deployment.tags

  # With depends_on on this module the region is unknown while what it depends on changes: a name that is unknown would replace the role.
  # It changes with the name of the deployment only.
  lifecycle {
    ignore_changes       = [name]
    replace_triggered_by = [terraform_data.name]
  }
}

resource "terraform_data" "name" {
  input = var.deployment.name
}

resource "aws_iam_role_policy" "forward" {
  name   = local.prefix
  role   = aws_iam_role.forward.name
  policy = data.aws_iam_policy_document.forward.json
}

# EventBridge only, and only for these rules: https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html
data "aws_iam_policy_document" "assume_role" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:events:${local.region}:${local.account}:rule/${local.prefix}-*"]
    }
  }
}

data "aws_iam_policy_document" "forward" {
  statement {
    sid       = "ForwardEvents"
    actions   = ["events:PutEvents"]
    resources = [var.deployment.event_bus_arn]
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# A way back for snapshots that somebody deletes
# ---------------------------------------------------------------------------------------------------------------------

# By tag: no other snapshot of the region is kept, and billed, for it.
resource "aws_rbin_rule" "snapshots" {
  count = var.deployment.recycle_bin_days == 0 ? 0 : 1

  description   = "ParkVolumes: deleted snapshots of ${var.deployment.name}."
  resource_type = "EBS_SNAPSHOT"
  tags          = var.deployment.tags

  dynamic "resource_tags" {
    for_each = toset(var.deployment.names)

    content {
      resource_tag_key   = "park-volumes:deployment"
      resource_tag_value = resource_tags.value
    }
  }

  retention_period {
    retention_period_value = var.deployment.recycle_bin_days
    retention_period_unit  = "DAYS"
  }

  depends_on = [aws_iam_role.forward] # the name is nobody else's
}
