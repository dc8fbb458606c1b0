output "function_url" {
  description = "HTTPS address of the start function, with a slash at its end: GET instances, GET instances/{id or Name}, POST instances/{id or Name}/start and /stop. With function_url_auth TOKEN it is also a page for browsers (on AWS with provider 6.28 or newer)."
  value       = aws_lambda_function_url.start.function_url
}

output "park_function_name" {
  description = "Name of the park function."
  value       = aws_lambda_function.function["park"].function_name
}

output "park_function_arn" {
  description = "ARN of the park function."
  value       = aws_lambda_function.function["park"].arn
}

output "start_function_name" {
  description = "Name of the start function."
  value       = aws_lambda_function.function["start"].function_name
}

output "start_function_arn" {
  description = "ARN of the start function."
  value       = aws_lambda_function.function["start"].arn
}

output "park_role_arn" {
  description = "ARN of the role of the park function, the one that may delete volumes and snapshots."
  value       = aws_iam_role.function["park"].arn
}

output "start_role_arn" {
  description = "ARN of the role of the start function. A key policy that does not delegate to the account must name it."
  value       = aws_iam_role.function["start"].arn
}

output "park_queue_url" {
  description = "URL of the queue in front of the park function."
  value       = aws_sqs_queue.park.url
}

output "dead_letter_queue_url" {
  description = "URL of the queue that keeps failures for 14 days: undeliverable events, messages that failed a hundred times, failed asynchronous invocations."
  value       = aws_sqs_queue.dead_letter.url
}

output "park_queue_arn" {
  description = "ARN of the queue in front of the park function."
  value       = aws_sqs_queue.park.arn
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue that keeps failures."
  value       = aws_sqs_queue.dead_letter.arn
}

output "deployment" {
  description = "What modules/region has to know of this deployment: the value of its input of the same name."
  value = {
    name          = var.name
    names         = local.names
    regions       = sort(var.regions)
    event_bus_arn = local.event_bus_arn
    rules = {
      for key, rule in local.rules : key => { description = rule.description, pattern = jsonencode(rule.pattern) }
      if contains(try(rule.pattern.source, []), "aws.ec2")
    }
    recycle_bin_days         = var.recycle_bin_days
    tags                     = var.tags
    role_path                = var.role_path
    permissions_boundary_arn = var.permissions_boundary_arn
  }
}

output "rule_arns" {
  description = "ARNs of the EventBridge rules, by their names without the name of the deployment: instance-stopped, sweep and others."
  value       = { for key, rule in aws_cloudwatch_event_rule.rule : key => rule.arn }
}

output "alarm_arns" {
  description = "ARNs of the CloudWatch alarms, by the headings of docs/operations.md; empty without alarms."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.alarm : key => alarm.arn }
}

output "log_group_names" {
  description = "Names of the log groups of the park and the start function."
  value       = { for key, group in aws_cloudwatch_log_group.function : key => group.name }
}

output "start_policy_json" {
  description = "IAM policy, as JSON, that a caller of the Function URL needs."
  value       = data.aws_iam_policy_document.caller.json
}

output "start_command" {
  description = "A curl command that starts an instance: replace INSTANCE with its id or Name. It uses the credentials in the usual AWS environment variables, or else those that the AWS CLI (2.9 or newer) finds, for instance of a profile (AWS_PROFILE). With function_url_auth TOKEN it uses the token in PARK_VOLUMES_TOKEN."
  # printf and eval belong to the shell, and curl reads its standard input: the list of processes shows no secret. The left side of a
  # pipe is a process of its own, so that the credentials of a profile do not stay in the shell.
  value = join(" ", [
    local.with_tokens ? "printf 'oauth2-bearer=%s\\n' \"$PARK_VOLUMES_TOKEN\"" : join(" ", [
      "{ test \"$${AWS_ACCESS_KEY_ID:-}\" || eval \"$(aws configure export-credentials --format env)\";",
      "printf 'user=%s:%s\\n%s\\n' \"$AWS_ACCESS_KEY_ID\" \"$AWS_SECRET_ACCESS_KEY\"",
      # No header without a session: curl would sign the empty one.
      "\"$${AWS_SESSION_TOKEN:+header=x-amz-security-token:$AWS_SESSION_TOKEN}\"; }",
    ]),
    "| curl --config - --silent --show-error --fail-with-body --write-out '\\n'",
    local.with_tokens ? "--request POST" : "--aws-sigv4 \"aws:amz:${local.region}:lambda\" --request POST",
    "\"${trimsuffix(aws_lambda_function_url.start.function_url, "/")}/instances/INSTANCE/start\"",
  ])
}
