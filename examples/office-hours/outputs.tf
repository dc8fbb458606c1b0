output "start_command" {
  description = "A curl command that starts an instance outside of office hours: put its id or Name in the place of INSTANCE."
  value       = module.park_volumes.start_command
}

output "schedules" {
  description = "The schedules by instance: names in the schedule group park-volumes-office-hours."
  value       = { for id in var.instance_ids : id => { start = aws_scheduler_schedule.start[id].name, stop = aws_scheduler_schedule.stop[id].name } }
}
