variable "region" {
  description = "Region of the deployment, and of most instances, for example \"eu-west-1\"."
  type        = string
  default     = "ap-northeast-2"
  nullable    = false
}

variable "second_region" {
  description = "Another region with instances, for example \"us-east-1\"."
  type        = string
  default     = "us-east-1"
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

variable "function_url_auth" {
  description = "Who may call the Function URL: AWS_IAM (signed requests) or TOKEN (a browser and a token will do; on AWS with provider 6.28 or newer)."
  type        = string
  default     = "AWS_IAM"
  nullable    = false
}

variable "start_tokens_parameter" {
  description = "Name of the SSM parameter with the tokens, for TOKEN only."
  type        = string
  default     = null
}

variable "peers" {
  description = "Deployments whose instances the page shows beside its own, for TOKEN only: display name to address."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "page_origins" {
  description = "Origins of the pages that may show this deployment, for TOKEN only."
  type        = list(string)
  default     = []
  nullable    = false
}
