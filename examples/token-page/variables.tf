variable "start_tokens_parameter" {
  description = "Name of the SSM parameter with the tokens. It is made by hand, so that no token gets into Terraform's state."
  type        = string
  default     = "/park-volumes/tokens"
  nullable    = false
}

variable "start_reserved_concurrency" {
  description = "Executions that are reserved for the start function, which are also its most. 0 for an account that has none to reserve, as a new one with 10."
  type        = number
  default     = 10
  nullable    = false
}
