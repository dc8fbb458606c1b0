variable "account" {
  description = "Name of the account in accounts.json that is applied, for example \"production\"."
  type        = string
  nullable    = false

  validation {
    condition     = contains(keys(jsondecode(file("${path.module}/accounts.json"))), var.account)
    error_message = "account must be a name in accounts.json, for example \"production\"."
  }
}

variable "role_name" {
  description = "Name of the role that Terraform assumes in the account. AWS Organizations makes this one in every account that it creates."
  type        = string
  default     = "OrganizationAccountAccessRole"
  nullable    = false
}
