output "instance_ids" {
  description = "The instances of the stack, by Name."
  value       = { for instance in [aws_instance.web, aws_instance.app, aws_instance.db] : instance.tags.Name => instance.id }
}

output "function_url" {
  description = "HTTPS address of the start function."
  value       = module.park_volumes.function_url
}

output "start_command" {
  description = "A curl command that starts an instance: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}
