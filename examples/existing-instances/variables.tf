variable "unmanaged_instance_ids" {
  description = "Ids of instances that no Terraform manages and that are to be opted in, for example [\"i-0123456789abcdef0\"]."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.unmanaged_instance_ids : can(regex("^i-[0-9a-f]{8,17}$", id))])
    error_message = "Each of unmanaged_instance_ids has to be the id of an instance, for example \"i-0123456789abcdef0\"."
  }
}
