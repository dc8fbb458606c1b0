output "function_url" {
  description = "HTTPS address of the start function in this account."
  value       = module.park_volumes.function_url
}

output "start_command" {
  description = "A curl command that starts an instance of this account: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}

output "start_policy_arn" {
  description = "ARN of the policy for whoever starts instances in this account."
  value       = aws_iam_policy.start_instances.arn
}
