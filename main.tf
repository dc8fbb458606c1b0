# ParkVolumes: two functions, a queue in front of the one that may destroy, and one dead-letter queue for whatever fails.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# aws_region would be the obvious source of the region, but provider 6 deprecates `name` and `id`, and 5.100 has no `region`.
data "aws_service" "ec2" {
  service_id = "ec2"

  # What the functions use has to be where they are. Without this, AWS says so in the middle of an apply, or at the first use.
  lifecycle {
    postcondition {
      condition     = alltrue([for arn in compact([var.notification_topic_arn]) : startswith(arn, "arn:${self.partition}:sns:${self.region}:")])
      error_message = "notification_topic_arn must be the ARN of a topic in the region of this deployment, since SNS takes no message for a topic of another region, for example \"arn:${self.partition}:sns:${self.region}:123456789012:park-volumes\"."
    }
    postcondition {
      condition     = alltrue([for arn in var.alarm_topic_arns : startswith(arn, "arn:${self.partition}:sns:${self.region}:")])
      error_message = "alarm_topic_arns must be ARNs of topics in the region of this deployment, since CloudWatch notifies no topic of another region, for example [\"arn:${self.partition}:sns:${self.region}:123456789012:on-call\"]."
    }
    postcondition {
      condition = alltrue([
        for arn in var.kms_key_arns : startswith(arn, "arn:${self.partition}:kms:") &&
        (local.everywhere || contains(concat([self.region], sort(var.regions)), split(":", arn)[3]))
      ])
      error_message = "kms_key_arns must be ARNs of keys in a region of this deployment, since volumes are encrypted with no key of another region, for example [\"arn:${self.partition}:kms:${self.region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"]."
    }
    postcondition {
      condition     = alltrue([for arn in compact([var.log_kms_key_arn]) : startswith(arn, "arn:${self.partition}:kms:${self.region}:")])
      error_message = "log_kms_key_arn must be the ARN of a key in the region of this deployment, since CloudWatch Logs uses no key of another region, for example \"arn:${self.partition}:kms:${self.region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab\"."
    }
    postcondition {
      condition     = alltrue([for arn in compact([var.powertools_layer_arn]) : startswith(arn, "arn:${self.partition}:lambda:${self.region}:")])
      error_message = "powertools_layer_arn must be the ARN of a layer version in the region of this deployment, since Lambda takes no layer of another region, for example \"arn:${self.partition}:lambda:${self.region}:123456789012:layer:Powertools:1\"."
    }
    postcondition {
      condition     = alltrue([for arn in compact([var.permissions_boundary_arn]) : startswith(arn, "arn:${self.partition}:iam::")])
      error_message = "permissions_boundary_arn must be the ARN of a policy in the partition of this deployment, for example \"arn:${self.partition}:iam::123456789012:policy/boundary\"."
    }
  }
}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_service.ec2.region

  # The regions of the instances. With * for all of them no name is known here: the functions ask EC2.
  everywhere = contains(var.regions, "all")
  covered    = local.everywhere ? ["*"] : distinct(concat([local.region], sort(var.regions)))
  regions    = length(var.regions) == 0 ? {} : { REGIONS = join(" ", sort(var.regions)) }

  # Put together from names, so that a plan shows the policies in full and nothing waits until the provider has seen the queues settle.
  park_queue_name        = "${var.name}-park"
  dead_letter_queue_name = "${var.name}-dead-letter"
  park_queue_arn         = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.park_queue_name}"
  dead_letter_queue_arn  = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.dead_letter_queue_name}"

  event_bus_arn = "arn:${local.partition}:events:${local.region}:${local.account}:event-bus/default"

  function_names = {
    park  = "${var.name}-park"
    start = "${var.name}-start"
  }

  # What bears one of these is of this deployment. Whatever is new bears var.name.
  names = concat([var.name], var.previous_names)

  functions = {
    park = {
      description = "ParkVolumes: turns the volumes of stopped instances into snapshots and deletes them."
      memory_size = var.park_memory_size
      reserved    = 0 # its queue bounds it
      environment = {
        PARK_QUEUE_URL           = aws_sqs_queue.park.url
        PARK_MAXIMUM_CONCURRENCY = tostring(var.park_maximum_concurrency)
        SWEEP_INTERVAL_MINUTES   = tostring(var.sweep_interval_minutes)
      }
    }
    start = {
      description = "ParkVolumes: recreates the volumes of parked instances, attaches them and starts the instances."
      memory_size = var.start_memory_size
      reserved    = var.start_reserved_concurrency
      environment = merge(
        {
          FUNCTION_URL_AUTH     = var.function_url_auth
          START_ON_FAILED_START = tostring(var.start_on_failed_start)
          START_ROLE_ARN        = aws_iam_role.function["start"].arn
          STAY_SIGNED_IN_DAYS   = tostring(var.stay_signed_in_days)
          ADDRESS_PROTOCOL      = var.address_protocol
        },
        local.with_tokens ? { START_TOKENS_PARAMETER = var.start_tokens_parameter } : {},
        local.peers,
        local.page_origins
      )
    }
  }

  # The public layer, version 3.23.0: https://docs.powertools.aws.dev/lambda/python/latest/getting-started/install/
  powertools_layer_arn = coalesce(
    var.powertools_layer_arn,
    "arn:${local.partition}:lambda:${local.region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-${var.lambda_architecture}:27"
  )

  # Absent, not empty, where the deployment has no prices of its own.
  prices = length(var.prices) == 0 ? {} : { PRICES = jsonencode(var.prices) }

  # Whether a key of this account may be used, EC2 says when it is tried. The key of another account must be in kms_key_arns.
  foreign_key_arns = [for arn in var.kms_key_arns : arn if split(":", arn)[4] != local.account]
  foreign_keys     = length(local.foreign_key_arns) == 0 ? {} : { KMS_KEY_ARNS = join(" ", local.foreign_key_arns) }

  batching_window_seconds = 5

  previous_names = length(var.previous_names) == 0 ? {} : { PREVIOUS_NAMES = join(" ", var.previous_names) }

  # Absent where no other deployment is named.
  peers        = length(var.peers) == 0 ? {} : { PEERS = jsonencode({ for name, address in var.peers : name => trimsuffix(address, "/") }) }
  page_origins = length(var.page_origins) == 0 ? {} : { PAGE_ORIGINS = join(" ", sort(var.page_origins)) }

  notification = var.notification_topic_arn == null ? {} : { NOTIFICATION_TOPIC_ARN = var.notification_topic_arn }

  with_tokens = var.function_url_auth == "TOKEN"
  archives    = var.archive_after_days > 0
}

# ---------------------------------------------------------------------------------------------------------------------
# Queues
# ---------------------------------------------------------------------------------------------------------------------

resource "aws_sqs_queue" "park" {
  name                       = local.park_queue_name
  policy                     = data.aws_iam_policy_document.park_queue.json
  sqs_managed_sse_enabled    = true
  message_retention_seconds  = 86400 # a message only names instances to look at, and the sweeps look at all of them
  receive_wait_time_seconds  = 20
  visibility_timeout_seconds = var.function_timeout_seconds + local.batching_window_seconds # docs/performance.md
  tags                       = var.tags

  # The ARN of the resource, not of the name: SQS refuses a dead-letter queue that does not exist yet.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = 100 # a message also comes back when it was not its turn yet (docs/performance.md)
  })

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role.function] # the name is nobody else's
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = local.dead_letter_queue_name
  policy                    = data.aws_iam_policy_document.dead_letter_queue.json
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600 # 14 days, the longest there is: somebody has to find them
  tags                      = var.tags

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role.function] # the name is nobody else's
}

# ---------------------------------------------------------------------------------------------------------------------
# Functions
# ---------------------------------------------------------------------------------------------------------------------

# Made here and not by Lambda, so that the retention holds; the roles may not create log groups.
#
# AWS makes no second log group and no second role of a name, but of a queue, a rule or an alarm it makes the second the first. So log groups
# and roles come before those. Terraform shows the first line of a resource with its error: that is where the cause is told.
resource "aws_cloudwatch_log_group" "function" { # "already exists": this account and region have a deployment of this name; choose another name
  #checkov:skip=CKV_AWS_158:without log_kms_key_arn CloudWatch Logs encrypts with its own key; the logs hold ids and reasons but no data of anybody
  #checkov:skip=CKV_AWS_338:log_retention_days is the user's to choose; 30 days tell why something was or was not parked
  for_each = local.function_names

  name              = "/aws/lambda/${each.value}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_116:park has the dead-letter queue of its queue, start a failure destination, which also tells why
  #checkov:skip=CKV_AWS_117:both functions talk to AWS APIs only; a VPC would need endpoints or a NAT gateway, which cost more than is saved
  #checkov:skip=CKV_AWS_115:a new account has 10 concurrent executions and none to reserve; start_reserved_concurrency does, and the queue bounds park
  #checkov:skip=CKV_AWS_272:the zip is in the repository, compared with its code by a test, and released with its provenance
  #checkov:skip=CKV_AWS_173:the environment holds settings and no secret; Lambda encrypts it with its own key
  #checkov:skip=CKV_AWS_50:a pass is a few calls of EC2, each of which is in CloudTrail and in the log; traces are billed
  for_each = local.functions

  function_name    = local.function_names[each.key]
  description      = each.value.description
  role             = aws_iam_role.function[each.key].arn
  filename         = "${path.module}/dist/park_volumes.zip"
  source_code_hash = filebase64sha256("${path.module}/dist/park_volumes.zip")
  runtime          = "python3.13"
  architectures    = [var.lambda_architecture]
  handler          = "park_volumes.handlers.${each.key}.handler"
  layers           = [local.powertools_layer_arn]
  memory_size      = each.value.memory_size
  timeout          = var.function_timeout_seconds
  tags             = var.tags

  reserved_concurrent_executions = each.value.reserved > 0 ? each.value.reserved : -1 # -1 reserves none, 0 would stop the function

  environment {
    variables = merge(each.value.environment, local.prices, local.notification, local.foreign_keys, local.previous_names, local.regions, {
      DEPLOYMENT                   = var.name
      OPT_IN_TAG_KEY               = var.opt_in_tag_key
      QUIET_PERIOD_SECONDS         = tostring(var.quiet_period_seconds)
      FUNCTION_TIMEOUT_SECONDS     = tostring(var.function_timeout_seconds)
      GRACE_PERIOD_MINUTES         = tostring(var.grace_period_minutes)
      SNAPSHOT_RETENTION_HOURS     = tostring(var.snapshot_retention_hours)
      LOCK_SNAPSHOTS               = tostring(var.lock_snapshots)
      ALLOWED_PRODUCT_CODES        = join(" ", sort(var.allowed_product_codes))
      OBSERVE_ONLY                 = tostring(var.observe_only)
      ORPHAN_RETENTION_DAYS        = tostring(var.orphan_retention_days)
      ARCHIVE_AFTER_DAYS           = tostring(var.archive_after_days)
      VOLUME_INITIALIZATION_RATE   = tostring(var.volume_initialization_rate)
      PARK_EVEN_IF_DEARER          = tostring(var.park_even_if_dearer)
      POWERTOOLS_SERVICE_NAME      = "park-volumes"
      POWERTOOLS_LOG_LEVEL         = var.log_level
      POWERTOOLS_METRICS_NAMESPACE = "ParkVolumes"
    })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.function[each.key].name

    # Lambda drops what is below INFO. It may drop no more than that: the metrics are lines without a level.
    application_log_level = var.log_level == "DEBUG" ? "DEBUG" : null
  }

  lifecycle {
    precondition {
      condition     = var.powertools_layer_arn != null || local.partition == "aws"
      error_message = "The public Powertools layer of the partition ${local.partition} belongs to another account: set powertools_layer_arn to the layer version that Powertools for AWS Lambda (Python) documents for ${local.region}."
    }
  }

  # Without its permissions a function's first passes would fail, and Lambda refuses the mapping and the failure destination below.
  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "park" {
  event_source_arn                   = aws_sqs_queue.park.arn
  function_name                      = aws_lambda_function.function["park"].arn
  batch_size                         = 190 # what one call describes, 195 at most; FULL_BATCH in handlers/park.py
  maximum_batching_window_in_seconds = local.batching_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = var.tags

  scaling_config {
    maximum_concurrency = var.park_maximum_concurrency
  }
}

# A destination, unlike a function's dead-letter queue, also tells why the invocation failed.
resource "aws_lambda_function_event_invoke_config" "start" {
  function_name                = aws_lambda_function.function["start"].function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 3600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letter.arn
    }
  }
}

resource "aws_lambda_function_url" "start" {
  function_name      = aws_lambda_function.function["start"].function_name
  authorization_type = local.with_tokens ? "NONE" : "AWS_IAM"
  invoke_mode        = "BUFFERED"

  # A URL that is to be opened is made anew, with another address: only when it makes one, the provider lets everybody invoke the function
  # through it, which takes a permission that provider 5 has no words for. Closing it keeps the address. So this is always empty, but unknown
  # while the URL is being opened, and an unknown qualifier replaces it.
  qualifier = one([for opened in terraform_data.url_opened_to_the_internet : substr(opened.id, 0, 0)])

  # Lambda answers the preflight itself, without a run of the function, and adds the headers to every answer. There are no cookies.
  dynamic "cors" {
    for_each = length(var.page_origins) == 0 ? [] : [var.page_origins]

    content {
      allow_credentials = false
      allow_headers     = ["authorization"]
      allow_methods     = ["GET", "POST"]
      allow_origins     = cors.value
      max_age           = 7200 # the longest that Chromium remembers a preflight
    }
  }

  depends_on = [aws_lambda_permission.anybody_may_call_url]
}

resource "terraform_data" "url_opened_to_the_internet" {
  count = local.with_tokens ? 1 : 0
  input = var.function_url_auth
}

moved {
  from = terraform_data.function_url_auth
  to   = terraform_data.url_opened_to_the_internet[0]
}

# The provider adds this statement, too, when it makes such a URL, and never takes it off. One of the same id it takes for its own: so it
# comes first, and goes with TOKEN.
resource "aws_lambda_permission" "anybody_may_call_url" {
  #checkov:skip=CKV_AWS_301:with TOKEN browsers call the URL without a signature, and the function asks for the token
  count = local.with_tokens ? 1 : 0

  statement_id           = "FunctionURLAllowPublicAccess"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.function["start"].function_name
  principal              = "*"
  function_url_auth_type = "NONE"
}

# An account of ten concurrent executions has none to reserve, so this is a warning, and reserving none the default.
check "token_url_has_executions_of_its_own" {
  assert {
    condition     = !local.with_tokens || var.start_reserved_concurrency > 0
    error_message = "With function_url_auth = \"TOKEN\" anybody on the internet can call the Function URL, and each call takes one of the account's concurrent executions until it is refused. Set start_reserved_concurrency, for example to 10, so that a flood of calls leaves the other functions of the account alone. Lambda lets an account of at least 110 concurrent executions reserve 10; a new account has 10 in all."
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# A way back for snapshots that somebody deletes
# ---------------------------------------------------------------------------------------------------------------------

# By tag: no other snapshot of the account is kept, and billed, for it.
resource "aws_rbin_rule" "snapshots" {
  count = var.recycle_bin_days == 0 ? 0 : 1

  description   = "ParkVolumes: deleted snapshots of ${var.name}."
  resource_type = "EBS_SNAPSHOT"
  tags          = var.tags

  dynamic "resource_tags" {
    for_each = toset(local.names)

    content {
      resource_tag_key   = "park-volumes:deployment"
      resource_tag_value = resource_tags.value
    }
  }

  retention_period {
    retention_period_value = var.recycle_bin_days
    retention_period_unit  = "DAYS"
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role.function] # the name is nobody else's
}
