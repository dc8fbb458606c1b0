variable "instance_ids" {
  description = "Ids of the instances that keep office hours, for example [\"i-0123456789abcdef0\"]. Each bears the opt-in tag ParkVolumes."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for id in var.instance_ids : can(regex("^i-[0-9a-f]{8,17}$", id))])
    error_message = "Each of instance_ids has to be the id of an instance, for example \"i-0123456789abcdef0\"."
  }
}

variable "time_zone" {
  description = "Time zone of the hours, by its IANA name, for example \"Europe/Berlin\". Daylight saving time is taken care of."
  type        = string
  default     = "Asia/Seoul"
  nullable    = false
}

variable "start_at" {
  description = "When the instances start, for example \"cron(0 9 ? * MON-FRI *)\": at 09:00 on weekdays."
  type        = string
  default     = "cron(0 9 ? * MON-FRI *)"
  nullable    = false
}

variable "stop_at" {
  description = "When the instances stop, for example \"cron(0 19 ? * MON-FRI *)\": at 19:00 on weekdays."
  type        = string
  default     = "cron(0 19 ? * MON-FRI *)"
  nullable    = false
}
