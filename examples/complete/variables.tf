variable "region" {
  description = "Region of the instances, for example \"eu-west-1\"."
  type        = string
  default     = "ap-northeast-2"
  nullable    = false
}

variable "snapshot_retention_hours" {
  description = "Hours that the snapshots of a restored instance are kept."
  type        = number
  default     = 24
  nullable    = false
}

variable "quiet_period_seconds" {
  description = "Seconds between detaching the root volume and deleting volumes; at least function_timeout_seconds plus 45."
  type        = number
  default     = 120
  nullable    = false
}

variable "function_timeout_seconds" {
  description = "Seconds after which Lambda ends a pass of either function."
  type        = number
  default     = 60
  nullable    = false
}

variable "sweep_interval_minutes" {
  description = "Minutes between two sweeps over every opted-in or parked instance."
  type        = number
  default     = 5
  nullable    = false
}

variable "kms_key_arns" {
  description = "ARNs of the customer managed keys that encrypt volumes. Empty: any key of the account, through EC2 only."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of the permissions boundary that the account asks of every role. Null: none."
  type        = string
  default     = null
}
