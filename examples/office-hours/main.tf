module "park_volumes" {
  source = "../.."
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

data "aws_instance" "office" {
  for_each = var.instance_ids

  instance_id = each.value

  lifecycle {
    postcondition {
      condition     = contains(["true", "root"], lower(trimspace(lookup(self.tags, "ParkVolumes", ""))))
      error_message = "${self.id} is not opted in: it would be stopped in the evening and not be started in the morning. Tag it ParkVolumes=true."
    }
  }
}

resource "aws_scheduler_schedule_group" "office_hours" {
  name = "park-volumes-office-hours"
}

# The evening: EC2 stops the instance, and ParkVolumes does the rest, as after any other stop.
resource "aws_scheduler_schedule" "stop" {
  #checkov:skip=CKV_AWS_297:a schedule holds a time and the names of instances; Scheduler encrypts it with its own key
  for_each = data.aws_instance.office

  name                         = "stop-${each.key}"
  group_name                   = aws_scheduler_schedule_group.office_hours.name
  description                  = "Stops ${each.key} in the evening."
  schedule_expression          = var.stop_at
  schedule_expression_timezone = var.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${data.aws_partition.current.partition}:scheduler:::aws-sdk:ec2:stopInstances"
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ InstanceIds = [each.key] })

    # By default a failed stop is tried for a day: it would hit somebody at work the next morning.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }
}

# The morning: a schedule cannot sign requests to the Function URL, so it invokes the start function, with an event made for this.
resource "aws_scheduler_schedule" "start" {
  #checkov:skip=CKV_AWS_297:a schedule holds a time and the names of instances; Scheduler encrypts it with its own key
  for_each = data.aws_instance.office

  name                         = "start-${each.key}"
  group_name                   = aws_scheduler_schedule_group.office_hours.name
  description                  = "Starts ${each.key} in the morning, and restores its volumes before."
  schedule_expression          = var.start_at
  schedule_expression_timezone = var.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.park_volumes.start_function_arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ detail-type = "Start Requested", detail = { instance-id = each.key } })

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }
}

# Whoever may invoke the start function may start and see every opted-in instance: only the schedules of this group get this role.
resource "aws_iam_role" "scheduler" {
  name_prefix        = "park-volumes-office-hours-"
  description        = "EventBridge Scheduler: stops instances, and invokes the start function of ParkVolumes."
  assume_role_policy = data.aws_iam_policy_document.assume_role.json
}

data "aws_iam_policy_document" "assume_role" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_scheduler_schedule_group.office_hours.arn]
    }
  }
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "office-hours"
  role   = aws_iam_role.scheduler.name
  policy = data.aws_iam_policy_document.scheduler.json
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    sid       = "StartThroughParkVolumes"
    actions   = ["lambda:InvokeFunction"]
    resources = [module.park_volumes.start_function_arn]
  }

  dynamic "statement" {
    for_each = length(var.instance_ids) > 0 ? [1] : []

    content {
      sid       = "StopTheseInstances"
      actions   = ["ec2:StopInstances"]
      resources = [for instance in data.aws_instance.office : instance.arn]
    }
  }
}
