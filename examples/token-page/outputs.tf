output "page" {
  description = "Address of the page on which people start their instances."
  value       = module.park_volumes.function_url
}

output "start_command" {
  description = "A curl command that starts an instance with the token in PARK_VOLUMES_TOKEN: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}
