output "start_commands" {
  description = "By region, a curl command that starts an instance there: put its id or Name in the place of INSTANCE."
  value = {
    ap-northeast-2 = module.seoul.start_command
    eu-central-1   = module.frankfurt.start_command
  }
}

output "start_policy_arns" {
  description = "ARNs of the policies for whoever starts instances."
  value       = { for region, policy in aws_iam_policy.start_instances : region => policy.arn }
}
