module "park_volumes" {
  source = "../.."
}
