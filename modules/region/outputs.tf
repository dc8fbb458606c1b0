output "region" {
  description = "The region whose events are forwarded."
  value       = local.region
}

output "rule_arns" {
  description = "ARNs of the EventBridge rules in this region, by the names that they have in the deployment."
  value       = { for key, rule in aws_cloudwatch_event_rule.rule : key => rule.arn }
}

output "role_arn" {
  description = "ARN of the role with which EventBridge forwards events to the region of the deployment."
  value       = aws_iam_role.forward.arn
}
