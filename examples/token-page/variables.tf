variable "start_tokens_parameter" {
  description = "Name of the SSM parameter with the tokens. It is made by hand, so that no token gets into Terraform's state."
  type        = string
  default     = "/park-volumes/tokens"
  nullable    = false
}
