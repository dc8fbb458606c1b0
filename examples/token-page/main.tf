module "park_volumes" {
  source = "../.."

  function_url_auth      = "TOKEN"
  start_tokens_parameter = var.start_tokens_parameter

  # Whoever calls the address, however often, takes no execution of the account's other functions.
  start_reserved_concurrency = var.start_reserved_concurrency
}
