provider "aws" {
  region = var.region

  default_tags {
    tags = { ManagedBy = "Terraform" }
  }
}

# The second region whose instances are parked.
provider "aws" {
  alias  = "second"
  region = var.second_region

  default_tags {
    tags = { ManagedBy = "Terraform" }
  }
}

module "park_volumes" {
  source = "../.."

  name           = "park-volumes"
  previous_names = [] # what this deployment was called before, while anything bears the old name
  tags           = { Project = "ParkVolumes" }

  # Which instances: those with the tag ParkVolumes=true (every volume) or ParkVolumes=root (the root volume only).
  opt_in_tag_key = "ParkVolumes"

  # Where, beside the region of the provider: the names of other regions, or ["all"].
  regions = [var.second_region]

  # Whether anything is changed at all. With true the module only tells what it would park and what that would save.
  observe_only = false

  # How parking goes.
  grace_period_minutes     = 0
  lock_snapshots           = true
  allowed_product_codes    = [] # Marketplace products whose volumes you have seen attach again
  park_even_if_dearer      = false
  prices                   = {} # your own, for example { gp3 = 0.0912, snapshot = 0.05 }
  quiet_period_seconds     = var.quiet_period_seconds
  function_timeout_seconds = var.function_timeout_seconds
  sweep_interval_minutes   = var.sweep_interval_minutes

  # How long snapshots are kept, and how volumes come back.
  snapshot_retention_hours   = var.snapshot_retention_hours
  archive_after_days         = 60 # a start then takes up to three days
  orphan_retention_days      = 30
  recycle_bin_days           = 0
  volume_initialization_rate = 0 # MiB/s, from 100 to 300; 0 is free

  # Who may start: whoever holds the policy below (AWS_IAM), or a token of a parameter (TOKEN).
  function_url_auth      = var.function_url_auth
  start_tokens_parameter = var.start_tokens_parameter

  # The page: how long a device may stay signed in, and how the address of a running instance is opened.
  stay_signed_in_days = 7
  address_protocol    = "https" # or "ssh", "rdp" and others

  # One page for many deployments: whom this page shows beside itself, and whose pages may show this one.
  peers        = var.peers
  page_origins = var.page_origins

  # Starts that EC2 refuses because an instance is parked are made up for. Takes a trail with management events.
  start_on_failed_start = true

  # Who is told what happens: events on the default bus always, and messages for people where a topic is named.
  notification_topic_arn = aws_sns_topic.park_volumes.arn

  # Who is woken when something is wrong, and where the numbers are shown.
  alarm_topic_arns    = [aws_sns_topic.park_volumes.arn]
  alarms              = null # those of the topics above
  transit_alarm_hours = 6
  dashboard           = true

  # How the functions run.
  lambda_architecture        = "arm64"
  powertools_layer_arn       = null # the public layer of the region
  park_memory_size           = 512
  start_memory_size          = 512
  start_reserved_concurrency = 0 # 10 for a thousand instances; a new account has none to reserve
  park_maximum_concurrency   = 2
  log_retention_days         = 30
  log_kms_key_arn            = null # a key of CloudWatch Logs' own
  log_level                  = "INFO"

  # What a security review may ask for: the customer keys by name, and a path and a boundary for both roles.
  kms_key_arns             = var.kms_key_arns
  role_path                = "/"
  permissions_boundary_arn = var.permissions_boundary_arn
}

# What happens in the second region is reported at once. Without this, a sweep finds it.
module "second_region" {
  source    = "../../modules/region"
  providers = { aws = aws.second }

  deployment = module.park_volumes.deployment
}

# Subscribe whoever wants to know: an address, a chat.
resource "aws_sns_topic" "park_volumes" {
  #checkov:skip=CKV_AWS_26:the messages name instances and hold no data of theirs; with a key, both roles would need it, too
  name = "park-volumes"
}

# For the people, roles and schedulers that start instances. Attach it to them.
resource "aws_iam_policy" "start_instances" {
  name        = "park-volumes-start-${var.region}"
  description = "Start and stop parked instances through the Function URL of ParkVolumes in ${var.region}."
  policy      = module.park_volumes.start_policy_json
}
