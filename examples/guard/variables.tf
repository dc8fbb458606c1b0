variable "deployments" {
  description = "The deployments of ParkVolumes whose two roles may write the tags, for example [{ account = \"123456789012\", region = \"eu-central-1\" }]. The name and the role_path are the module's inputs. An account or a region may be \"*\"."
  type = set(object({
    account   = string
    region    = string
    name      = optional(string, "park-volumes")
    role_path = optional(string, "/")
  }))
  nullable = false

  validation {
    condition     = length(var.deployments) > 0 && alltrue([for d in var.deployments : can(regex("^([0-9]{12}|\\*)$", d.account)) && can(regex("^([a-z]+(-[a-z]+)+-[0-9]+|\\*)$", d.region)) && can(regex("^[a-z0-9-]+$", d.name)) && can(regex("^/([A-Za-z0-9+=,.@_-]+/)*$", d.role_path))])
    error_message = "At least one deployment is needed, each with the 12 digits of an account or \"*\", a region or \"*\", the name of the deployment, and a path between slashes: without their tags the roles can park nothing."
  }
}

variable "other_writers" {
  description = "ARNs of further roles or users that may write the tags, for example of those who restore by hand or with the command line."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.other_writers : can(regex("^arn:[a-z0-9-]+:iam::([0-9]{12}|\\*):(role|user)/.*[^*]$", arn))])
    error_message = "Each of other_writers has to be the ARN of a role or a user, and may not end in *: \"arn:aws:iam::123456789012:role/restorers\"."
  }
}

variable "target_ids" {
  description = "Ids of the accounts, organizational units or roots that the service control policy is attached to. Empty: there is no service control policy, only the boundary."
  type        = set(string)
  default     = []
  nullable    = false
}
