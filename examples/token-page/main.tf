module "park_volumes" {
  source = "../.."

  function_url_auth      = "TOKEN"
  start_tokens_parameter = var.start_tokens_parameter
}
