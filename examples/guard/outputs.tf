output "boundary_arn" {
  description = "ARN of the permissions boundary for people and roles."
  value       = aws_iam_policy.boundary.arn
}

output "policy_json" {
  description = "The service control policy, also for those who attach it by other means."
  value       = data.aws_iam_policy_document.guard.minified_json
}

output "writers" {
  description = "Who may still write the tags."
  value       = local.writers
}
