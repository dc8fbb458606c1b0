output "start_command" {
  description = "A curl command that starts an instance: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}
