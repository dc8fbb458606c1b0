output "function_url" {
  description = "HTTPS address of the start function, for the instances of both regions."
  value       = module.park_volumes.function_url
}

output "start_command" {
  description = "A curl command that starts an instance of either region: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}

output "start_policy_arn" {
  description = "ARN of the policy for whoever starts instances."
  value       = aws_iam_policy.start_instances.arn
}

output "forwarding_regions" {
  description = "The other regions whose events come at once."
  value       = [module.frankfurt.region]
}
