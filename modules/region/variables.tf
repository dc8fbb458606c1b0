variable "deployment" {
  description = "The output deployment of the main module, as it is: what this module has to know of the deployment that it reports to."
  type = object({
    name          = string
    names         = list(string)
    regions       = list(string)
    event_bus_arn = string
    rules = map(object({
      description = string
      pattern     = string
    }))
    recycle_bin_days         = number
    tags                     = map(string)
    role_path                = string
    permissions_boundary_arn = string
  })
  nullable = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/default$", var.deployment.event_bus_arn))
    error_message = "deployment must be the output deployment of the main module as it is, for example module.park_volumes.deployment; its event_bus_arn is not that of a default event bus."
  }
}
