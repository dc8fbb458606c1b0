# What somebody has to look at. Eight alarms, within the ten that CloudWatch does not charge for; docs/operations.md has a section on each.

locals {
  with_alarms   = var.alarms == null ? length(var.alarm_topic_arns) > 0 : var.alarms
  sweep_seconds = 60 * var.sweep_interval_minutes
  fleet         = { deployment = var.name, service = "park-volumes" } # the dimensions of our own metrics, see docs/events.md

  alarms = merge(
    {
      dead-letter = {
        what       = "Something could not be handled and waits in the dead-letter queue."
        namespace  = "AWS/SQS"
        metric     = "ApproximateNumberOfMessagesVisible"
        dimensions = { QueueName = local.dead_letter_queue_name }
        statistic  = "Maximum"
        above      = 0
      }
      transit = {
        what       = "An instance has had volumes in transit, or has taken longer than it should, for more than ${var.transit_alarm_hours} hours: it is neither parked nor whole."
        namespace  = "ParkVolumes"
        metric     = "TransitAge"
        dimensions = local.fleet
        statistic  = "Maximum"
        above      = 3600 * var.transit_alarm_hours
        period     = max(300, local.sweep_seconds)
      }
      start = {
        what       = "A start was asked for 15 minutes ago, and the instance does not run."
        namespace  = "ParkVolumes"
        metric     = "StartAge"
        dimensions = local.fleet
        statistic  = "Maximum"
        above      = 900
        period     = max(300, local.sweep_seconds)
      }
      park-sweep = {
        what       = "No sweep of the park function has come through for three times its interval."
        namespace  = "ParkVolumes"
        metric     = "ParkedGiB"
        dimensions = local.fleet
        statistic  = "SampleCount"
        below      = 1
        period     = local.sweep_seconds
        of_periods = 3
      }
    },
    # One error is tried again; what fails for good reaches the dead-letter queue. Errors that go on are a matter of their own.
    { for key, name in local.function_names : "${key}-errors" => {
      what       = "The ${key} function has failed in two of the last three five minutes."
      namespace  = "AWS/Lambda"
      metric     = "Errors"
      dimensions = { FunctionName = name }
      statistic  = "Sum"
      above      = 0
      periods    = 2
      of_periods = 3
    } },
    { for key, name in local.function_names : "${key}-throttles" => {
      what       = "The ${key} function has been throttled in two of the last three five minutes: no concurrent execution is left for it."
      namespace  = "AWS/Lambda"
      metric     = "Throttles"
      dimensions = { FunctionName = name }
      statistic  = "Sum"
      above      = 0
      periods    = 2
      of_periods = 3
    } },
  )
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = { for key, alarm in local.alarms : key => alarm if local.with_alarms }

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "ParkVolumes: ${each.value.what} What to do: docs/operations.md, ${each.key}."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = can(each.value.below) ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.below, each.value.above)
  period              = try(each.value.period, 300)
  evaluation_periods  = try(each.value.of_periods, 1)
  datapoints_to_alarm = try(each.value.periods, each.value.of_periods, 1)
  treat_missing_data  = can(each.value.below) ? "breaching" : "notBreaching" # what is missing is what the sweeps' alarms look for
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role.function] # the name is nobody else's
}

resource "aws_cloudwatch_dashboard" "dashboard" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for n, widget in [
        { title = "Parked, in GiB, and what it saves, in USD a month", stat = "Maximum", metrics = [
          ["ParkVolumes", "ParkedGiB", "deployment", var.name, "service", "park-volumes"],
          ["ParkVolumes", "MonthlySaving", "deployment", var.name, "service", "park-volumes"],
        ] },
        { title = "How long parking and starting take, in seconds", stat = "Maximum", metrics = [
          ["ParkVolumes", "ParkDuration", "deployment", var.name, "service", "park-volumes"],
          ["ParkVolumes", "StartDuration", "deployment", var.name, "service", "park-volumes"],
        ] },
        { title = "Refusals and failures", stat = "Sum", metrics = [
          ["ParkVolumes", "Refusals", "deployment", var.name, "service", "park-volumes"],
          ["ParkVolumes", "Failures", "deployment", var.name, "service", "park-volumes"],
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.dead_letter_queue_name],
        ] },
        { title = "The oldest transit and the oldest unfinished start, in seconds", stat = "Maximum", metrics = [
          ["ParkVolumes", "TransitAge", "deployment", var.name, "service", "park-volumes"],
          ["ParkVolumes", "StartAge", "deployment", var.name, "service", "park-volumes"],
        ] },
        { title = "The functions", stat = "Sum", metrics = flatten([
          for metric in ["Invocations", "Errors", "Throttles"] : [for name in values(local.function_names) : [["AWS/Lambda", metric, "FunctionName", name]]]
        ]) },
      ] :
      {
        type   = "metric"
        x      = 12 * (n % 2)
        y      = 6 * floor(n / 2)
        width  = 12
        height = 6
        properties = {
          title   = widget.title
          stat    = widget.stat
          metrics = widget.metrics
          region  = local.region
          period  = max(300, local.sweep_seconds)
          view    = "timeSeries"
        }
      }
    ]
  })

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role.function] # the name is nobody else's
}
