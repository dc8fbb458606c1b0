# Which events reach which function. Events are only hints where to look: what one missed, the sweep finds.

locals {
  rules = merge(local.rules_always, { for key, rule in local.rules_of_failed_starts : key => rule if var.start_on_failed_start })

  # What the functions ask of each other has a source of its own (handlers/wake.py): nobody's rules for reports should see it.
  rules_always = {
    instance-stopped = {
      description = "An instance has stopped or was terminated: look whether it is to be parked, or has left snapshots."
      schedule    = null
      targets     = ["park"]
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EC2 Instance State-change Notification"]
        detail      = { state = ["stopped", "terminated"] }
      }
    }
    snapshot-done = {
      description = "A snapshot has been completed or has failed: go on with the parking."
      schedule    = null
      targets     = ["park"]
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EBS Snapshot Notification"]
        detail      = { event = ["createSnapshot"], result = ["succeeded", "failed"] }
      }
    }
    volume-failed = {
      description = "A volume could not be created or attached: go on with the start."
      schedule    = null
      targets     = ["start"]
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EBS Volume Notification"]
        detail      = { event = ["createVolume", "attachVolume"], result = ["failed"] }
      }
    }
    sweep = {
      description = "The sweep: look at every opted-in or parked instance."
      schedule    = "cron(${var.sweep_interval_minutes == 60 ? "0" : "0/${var.sweep_interval_minutes}"} * * * ? *)" # at fixed minutes: handlers/wake.py
      targets     = ["park"]
      pattern     = null
    }
    start-sweep = {
      description = "Something is on its way: sweep the starts. The park function asks for that every minute, for as long as it is so."
      schedule    = null
      targets     = ["start"]
      pattern = {
        source      = ["park-volumes.internal"]
        detail-type = ["Sweep Starts"]
        detail      = { deployment = [var.name] }
      }
    }
    start-goes-on = {
      description = "The start function has begun something: have it look at that every minute."
      schedule    = null
      targets     = ["park"]
      pattern = {
        source      = ["park-volumes.internal"]
        detail-type = ["Start Goes On"]
        detail      = { deployment = [var.name] }
      }
    }
    start-fallback = {
      description = "The sweep of the starts that nobody has asked for, in case the functions cannot ask each other."
      schedule    = "rate(1 hour)"
      targets     = ["start"]
      pattern     = null
    }
    reminder = {
      description = "The sweep that tells again, once a day, of what lasts: refusals, failures, snapshots that nobody uses."
      schedule    = "rate(1 day)"
      targets     = ["park", "start"]
      pattern     = null
    }
  }

  # CloudTrail tells of it only where a trail logs management events. The function reads the message, and who called.
  rules_of_failed_starts = {
    start-refused = {
      description = "A start was refused by EC2: look whether an instance of it is parked."
      schedule    = null
      targets     = ["start"]
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          eventSource = ["ec2.amazonaws.com"]
          eventName   = ["StartInstances"]
          errorCode   = ["Client.InvalidParameterValue", "InvalidParameterValue"]
        }
      }
    }
  }

  rule_arns = {
    for key, rule in local.rules : key => "arn:${local.partition}:events:${local.region}:${local.account}:rule/${var.name}-${key}"
  }

  target_arns = {
    park  = aws_sqs_queue.park.arn
    start = aws_lambda_function.function["start"].arn
  }

  rule_targets = merge([
    for key, rule in local.rules : { for target in rule.targets : "${key}/${target}" => { rule = key, target = target } }
  ]...)
}

resource "aws_cloudwatch_event_rule" "rule" {
  for_each = local.rules

  name                = "${var.name}-${each.key}"
  description         = each.value.description
  event_pattern       = each.value.pattern == null ? null : jsonencode(each.value.pattern)
  schedule_expression = each.value.schedule
  tags                = var.tags

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role.function] # the name is nobody else's
}

resource "aws_cloudwatch_event_target" "target" {
  for_each = local.rule_targets

  rule      = aws_cloudwatch_event_rule.rule[each.value.rule].name
  target_id = each.value.target
  arn       = local.target_arns[each.value.target]

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }
}

resource "aws_lambda_permission" "rule" {
  for_each = { for key, rule in local.rules : key => rule if contains(rule.targets, "start") }

  statement_id  = "rule-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["start"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.rule[each.key].arn
}

# Only the rules of this deployment may send; the park function sends by the permission of its role.
data "aws_iam_policy_document" "park_queue" {
  statement {
    sid       = "RulesSendEvents"
    actions   = ["sqs:SendMessage"]
    resources = [local.park_queue_arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for key, rule in local.rules : local.rule_arns[key] if contains(rule.targets, "park")]
    }
  }
}

data "aws_iam_policy_document" "dead_letter_queue" {
  statement {
    sid       = "RulesSendUndeliverableEvents"
    actions   = ["sqs:SendMessage"]
    resources = [local.dead_letter_queue_arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = values(local.rule_arns)
    }
  }
}
