output "function_url" {
  description = "HTTPS address of the start function."
  value       = module.park_volumes.function_url
}

output "park_function_name" {
  description = "Name of the park function."
  value       = module.park_volumes.park_function_name
}

output "park_function_arn" {
  description = "ARN of the park function."
  value       = module.park_volumes.park_function_arn
}

output "start_function_name" {
  description = "Name of the start function."
  value       = module.park_volumes.start_function_name
}

output "start_function_arn" {
  description = "ARN of the start function."
  value       = module.park_volumes.start_function_arn
}

output "park_role_arn" {
  description = "ARN of the role of the park function."
  value       = module.park_volumes.park_role_arn
}

output "start_role_arn" {
  description = "ARN of the role of the start function."
  value       = module.park_volumes.start_role_arn
}

output "park_queue_url" {
  description = "URL of the queue in front of the park function."
  value       = module.park_volumes.park_queue_url
}

output "dead_letter_queue_url" {
  description = "URL of the queue that keeps whatever failed."
  value       = module.park_volumes.dead_letter_queue_url
}

output "park_queue_arn" {
  description = "ARN of the queue in front of the park function."
  value       = module.park_volumes.park_queue_arn
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue that keeps whatever failed."
  value       = module.park_volumes.dead_letter_queue_arn
}

output "deployment" {
  description = "What modules/region has to know of the deployment."
  value       = module.park_volumes.deployment
}

output "rule_arns" {
  description = "ARNs of the EventBridge rules."
  value       = module.park_volumes.rule_arns
}

output "alarm_arns" {
  description = "ARNs of the CloudWatch alarms."
  value       = module.park_volumes.alarm_arns
}

output "log_group_names" {
  description = "Names of the log groups of both functions."
  value       = module.park_volumes.log_group_names
}

output "notification_topic_arn" {
  description = "ARN of the topic that tells what happens, to subscribe to."
  value       = aws_sns_topic.park_volumes.arn
}

output "start_policy_json" {
  description = "The IAM policy, as JSON, that a caller of the Function URL needs."
  value       = module.park_volumes.start_policy_json
}

output "start_policy_arn" {
  description = "ARN of that policy in this account, to attach to whoever starts instances."
  value       = aws_iam_policy.start_instances.arn
}

output "start_command" {
  description = "A curl command that starts an instance: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}
