# Every validation of variables.tf: values it accepts, and for each condition one value that only this condition rejects.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_service" {
    defaults = { partition = "aws", region = "ap-northeast-2", dns_name = "ec2.ap-northeast-2.amazonaws.com" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

run "accepts_the_defaults" {
  command = plan
}

run "accepts_the_least_values" {
  command = plan

  variables {
    name                       = "p"
    tags                       = {}
    regions                    = []
    opt_in_tag_key             = "p"
    function_url_auth          = "AWS_IAM"
    grace_period_minutes       = 0
    snapshot_retention_hours   = 0
    lock_snapshots             = false
    allowed_product_codes      = []
    park_even_if_dearer        = false
    observe_only               = false
    orphan_retention_days      = 1
    archive_after_days         = 0
    recycle_bin_days           = 0
    volume_initialization_rate = 0
    quiet_period_seconds       = 55
    function_timeout_seconds   = 10
    sweep_interval_minutes     = 1
    log_retention_days         = 1
    start_on_failed_start      = false
    notification_topic_arn     = null
    alarm_topic_arns           = []
    transit_alarm_hours        = 1
    dashboard                  = false
    kms_key_arns               = []
    permissions_boundary_arn   = null
    powertools_layer_arn       = null
    lambda_architecture        = "arm64"
    park_memory_size           = 128
    start_memory_size          = 128
    start_reserved_concurrency = 0
    stay_signed_in_days        = 0
    address_protocol           = ""
    peers                      = {}
    page_origins               = []
    park_maximum_concurrency   = 2
    prices                     = {}
  }
}

run "accepts_the_greatest_values" {
  command = plan

  variables {
    name                       = "park-volumes-of-the-second-team2"
    previous_names             = ["p", "park-volumes-of-the-second-team", "a1", "b-2"]
    tags                       = { "Cost center/${join("", [for n in range(116) : "a"])}" = "${join("", [for n in range(256) : "b"])}", "팀" = "데이터: a_b.c/d=e+f-g@h" }
    regions                    = concat(["us-gov-west-1", "us-isob-east-1", "eusc-de-east-1"], [for n in range(17) : "eu-central-${n + 1}"])
    opt_in_tag_key             = "${join("", [for n in range(115) : "a"])}.b-c+d=e_f:@"
    function_url_auth          = "AWS_IAM"
    grace_period_minutes       = 43200
    snapshot_retention_hours   = 8760
    lock_snapshots             = true
    allowed_product_codes      = [for n in range(20) : format("%s%02d", join("", [for m in range(38) : "a"]), n)]
    park_even_if_dearer        = true
    observe_only               = true
    orphan_retention_days      = 3650
    archive_after_days         = 3650
    recycle_bin_days           = 365
    volume_initialization_rate = 300
    quiet_period_seconds       = 480
    function_timeout_seconds   = 420
    sweep_interval_minutes     = 60
    log_retention_days         = 3653
    log_kms_key_arn            = "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    log_level                  = "DEBUG"
    role_path                  = "/division/park_volumes-1/"
    start_on_failed_start      = true
    notification_topic_arn     = "arn:aws:sns:ap-northeast-2:123456789012:Park_Volumes-1"
    alarm_topic_arns           = [for n in range(5) : "arn:aws:sns:ap-northeast-2:210987654321:on-call-${n}"]
    alarms                     = true
    transit_alarm_hours        = 720
    dashboard                  = true
    kms_key_arns = [
      "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
      "arn:aws:kms:eu-central-17:210987654321:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ]
    permissions_boundary_arn   = "arn:aws:iam::123456789012:policy/division/park-volumes_boundary"
    powertools_layer_arn       = "arn:aws:lambda:ap-northeast-2:123456789012:layer:Powertools_V3-arm64:27"
    lambda_architecture        = "x86_64"
    park_memory_size           = 10240
    start_memory_size          = 10240
    start_reserved_concurrency = 1000
    stay_signed_in_days        = 30
    address_protocol           = "sftp"
    park_maximum_concurrency   = 1000
    prices                     = { for name in ["gp3", "gp3-iops", "gp3-throughput", "gp2", "io1", "io1-iops", "io2", "io2-iops", "st1", "sc1", "standard", "snapshot", "archive"] : name => tonumber("100") } # a number alone is more than python-hcl2 reads there
  }
}

run "accepts_what_is_of_another_partition_where_the_deployment_is" {
  command = plan

  override_data {
    target = data.aws_service.ec2
    values = { partition = "aws-cn", region = "cn-north-1", dns_name = "ec2.cn-north-1.amazonaws.com.cn" }
  }
  override_data {
    target = data.aws_partition.current
    values = { partition = "aws-cn" }
  }

  variables {
    notification_topic_arn   = "arn:aws-cn:sns:cn-north-1:123456789012:park-volumes"
    alarm_topic_arns         = ["arn:aws-cn:sns:cn-north-1:123456789012:on-call"]
    kms_key_arns             = ["arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
    permissions_boundary_arn = "arn:aws-cn:iam::123456789012:policy/boundary"
    powertools_layer_arn     = "arn:aws-cn:lambda:cn-north-1:123456789012:layer:Powertools_V3-arm64:27"
  }
}

run "accepts_every_region" {
  command = plan

  variables {
    regions      = ["all"]
    kms_key_arns = ["arn:aws:kms:ca-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  }
}

run "accepts_the_policies_of_aws_as_a_boundary" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::aws:policy/PowerUserAccess"
  }
}

run "notification_topic_arn_rejects_another_region" {
  command = plan

  variables {
    notification_topic_arn = "arn:aws:sns:us-east-1:123456789012:park-volumes"
  }

  expect_failures = [data.aws_service.ec2]
}

run "alarm_topic_arns_rejects_another_partition" {
  command = plan

  variables {
    alarm_topic_arns = ["arn:aws:sns:ap-northeast-2:123456789012:on-call", "arn:aws-cn:sns:cn-north-1:123456789012:on-call"]
  }

  expect_failures = [data.aws_service.ec2]
}

run "kms_key_arns_rejects_another_region" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:ap-northeast-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  }

  expect_failures = [data.aws_service.ec2]
}

run "kms_key_arns_rejects_another_region_than_the_covered_ones" {
  command = plan

  variables {
    regions      = ["eu-central-1"]
    kms_key_arns = ["arn:aws:kms:eu-central-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  }

  expect_failures = [data.aws_service.ec2]
}

run "powertools_layer_arn_rejects_another_region" {
  command = plan

  variables {
    powertools_layer_arn = "arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
  }

  expect_failures = [data.aws_service.ec2]
}

run "permissions_boundary_arn_rejects_another_partition" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws-us-gov:iam::123456789012:policy/boundary"
  }

  expect_failures = [data.aws_service.ec2]
}

run "log_kms_key_arn_rejects_an_alias" {
  command = plan

  variables {
    log_kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:alias/logs"
  }

  expect_failures = [var.log_kms_key_arn]
}

run "log_kms_key_arn_rejects_another_region" {
  command = plan

  variables {
    log_kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [data.aws_service.ec2]
}

run "log_level_rejects_a_word_of_lambda" {
  command = plan

  variables {
    log_level = "WARN"
  }

  expect_failures = [var.log_level]
}

run "role_path_rejects_no_slash_at_its_end" {
  command = plan

  variables {
    role_path = "/division"
  }

  expect_failures = [var.role_path]
}

run "permissions_boundary_arn_rejects_an_empty_text" {
  command = plan

  variables {
    permissions_boundary_arn = ""
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "notification_topic_arn_rejects_an_empty_text" {
  command = plan

  variables {
    notification_topic_arn = ""
  }

  expect_failures = [var.notification_topic_arn]
}

run "name_rejects_a_capital_letter" {
  command = plan

  variables {
    name = "ParkVolumes"
  }

  expect_failures = [var.name]
}

run "allowed_product_codes_rejects_capital_letters" {
  command = plan

  variables {
    allowed_product_codes = ["ABCDEFGHIJ"]
  }

  expect_failures = [var.allowed_product_codes]
}

run "allowed_product_codes_rejects_more_than_twenty" {
  command = plan

  variables {
    allowed_product_codes = [for n in range(21) : format("abcdefgh%02d", n)]
  }

  expect_failures = [var.allowed_product_codes]
}

run "name_rejects_a_digit_first" {
  command = plan

  variables {
    name = "2nd"
  }

  expect_failures = [var.name]
}

run "name_rejects_a_hyphen_last" {
  command = plan

  variables {
    name = "park-"
  }

  expect_failures = [var.name]
}

run "name_rejects_33_characters" {
  command = plan

  variables {
    name = "park-volumes-of-the-second-team-2"
  }

  expect_failures = [var.name]
}

run "name_rejects_nothing" {
  command = plan

  variables {
    name = ""
  }

  expect_failures = [var.name]
}

run "previous_names_rejects_a_capital_letter" {
  command = plan

  variables {
    previous_names = ["parking", "ParkVolumes"]
  }

  expect_failures = [var.previous_names]
}

run "previous_names_rejects_five" {
  command = plan

  variables {
    previous_names = ["a", "b", "c", "d", "e"]
  }

  expect_failures = [var.previous_names]
}

run "previous_names_rejects_the_present_one" {
  command = plan

  variables {
    previous_names = ["park-volumes"]
  }

  expect_failures = [var.previous_names]
}

run "tags_rejects_an_aws_key" {
  command = plan

  variables {
    tags = { "AWS:team" = "data" }
  }

  expect_failures = [var.tags]
}

run "tags_rejects_an_empty_key" {
  command = plan

  variables {
    tags = { "" = "data" }
  }

  expect_failures = [var.tags]
}

run "tags_rejects_a_key_of_129_characters" {
  command = plan

  variables {
    tags = { "${join("", [for n in range(129) : "a"])}" = "data" }
  }

  expect_failures = [var.tags]
}

run "tags_rejects_a_value_of_257_characters" {
  command = plan

  variables {
    tags = { Team = "${join("", [for n in range(257) : "b"])}" }
  }

  expect_failures = [var.tags]
}

run "tags_rejects_a_character_that_tags_cannot_hold" {
  command = plan

  variables {
    tags = { Team = "a;b" }
  }

  expect_failures = [var.tags]
}

run "tags_rejects_51_tags" {
  command = plan

  variables {
    tags = { for n in range(51) : "tag-${n}" => "" }
  }

  expect_failures = [var.tags]
}

run "regions_rejects_a_zone" {
  command = plan

  variables {
    regions = ["eu-central-1a"]
  }

  expect_failures = [var.regions]
}

run "regions_rejects_another_word_than_all" {
  command = plan

  variables {
    regions = ["every"]
  }

  expect_failures = [var.regions]
}

run "regions_rejects_all_in_another_case" {
  command = plan

  variables {
    regions = ["All"]
  }

  expect_failures = [var.regions]
}

run "regions_rejects_all_and_a_name" {
  command = plan

  variables {
    regions = ["all", "eu-central-1"]
  }

  expect_failures = [var.regions]
}

run "regions_rejects_more_than_20" {
  command = plan

  variables {
    regions = [for n in range(21) : "eu-central-${n + 1}"]
  }

  expect_failures = [var.regions]
}

run "opt_in_tag_key_rejects_a_slash" {
  command = plan

  variables {
    opt_in_tag_key = "park/volumes"
  }

  expect_failures = [var.opt_in_tag_key]
}

run "opt_in_tag_key_rejects_a_space" {
  command = plan

  variables {
    opt_in_tag_key = "Park Volumes"
  }

  expect_failures = [var.opt_in_tag_key]
}

run "opt_in_tag_key_rejects_128_characters" {
  command = plan

  variables {
    opt_in_tag_key = join("", [for n in range(128) : "a"])
  }

  expect_failures = [var.opt_in_tag_key]
}

run "opt_in_tag_key_rejects_an_aws_key" {
  command = plan

  variables {
    opt_in_tag_key = "aws:park"
  }

  expect_failures = [var.opt_in_tag_key]
}

run "opt_in_tag_key_rejects_a_key_of_our_own" {
  command = plan

  variables {
    opt_in_tag_key = "park-volumes:mark"
  }

  expect_failures = [var.opt_in_tag_key]
}

run "opt_in_tag_key_rejects_a_key_that_metadata_reserves" {
  command = plan

  variables {
    opt_in_tag_key = "_index"
  }

  expect_failures = [var.opt_in_tag_key]
}

run "function_url_auth_rejects_none" {
  command = plan

  variables {
    function_url_auth = "NONE"
  }

  expect_failures = [var.function_url_auth]
}

run "accepts_tokens" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { "서울 2" = "https://park.example.com", "a.b_c-d e" = "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.ap-northeast-2.on.aws/" }
    page_origins               = ["https://park.example.com", "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.ap-northeast-2.on.aws"]
  }
}

run "start_tokens_parameter_is_needed_with_tokens" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_reserved_concurrency = 10
  }

  expect_failures = [var.start_tokens_parameter]
}

run "start_tokens_parameter_is_not_taken_without_tokens" {
  command = plan

  variables {
    start_tokens_parameter = "/park-volumes/tokens"
  }

  expect_failures = [var.start_tokens_parameter]
}

run "start_tokens_parameter_rejects_an_arn" {
  command = plan

  variables {
    function_url_auth      = "TOKEN"
    start_tokens_parameter = "arn:aws:ssm:ap-northeast-2:123456789012:parameter/park-volumes/tokens"
  }

  expect_failures = [var.start_tokens_parameter]
}

run "grace_period_minutes_rejects_less_than_nothing" {
  command = plan

  variables {
    grace_period_minutes = -1
  }

  expect_failures = [var.grace_period_minutes]
}

run "grace_period_minutes_rejects_half_a_minute" {
  command = plan

  variables {
    grace_period_minutes = 0.5
  }

  expect_failures = [var.grace_period_minutes]
}

run "grace_period_minutes_rejects_more_than_30_days" {
  command = plan

  variables {
    grace_period_minutes = 43201
  }

  expect_failures = [var.grace_period_minutes]
}

run "snapshot_retention_hours_rejects_less_than_nothing" {
  command = plan

  variables {
    snapshot_retention_hours = -1
  }

  expect_failures = [var.snapshot_retention_hours]
}

run "snapshot_retention_hours_rejects_half_an_hour" {
  command = plan

  variables {
    snapshot_retention_hours = 0.5
  }

  expect_failures = [var.snapshot_retention_hours]
}

run "snapshot_retention_hours_rejects_more_than_a_year" {
  command = plan

  variables {
    snapshot_retention_hours = 8761
  }

  expect_failures = [var.snapshot_retention_hours]
}

run "quiet_period_seconds_rejects_half_a_second" {
  command = plan

  variables {
    quiet_period_seconds = 120.5
  }

  expect_failures = [var.quiet_period_seconds]
}

run "quiet_period_seconds_rejects_less_than_the_timeout_and_45" {
  command = plan

  variables {
    quiet_period_seconds = 104
  }

  expect_failures = [var.quiet_period_seconds]
}

run "quiet_period_seconds_rejects_more_than_a_message_can_be_delayed" {
  command = plan

  variables {
    quiet_period_seconds = 841
  }

  expect_failures = [var.quiet_period_seconds]
}

run "function_timeout_seconds_rejects_less_than_10" {
  command = plan

  variables {
    function_timeout_seconds = 9
  }

  expect_failures = [var.function_timeout_seconds]
}

run "function_timeout_seconds_rejects_half_a_second" {
  command = plan

  variables {
    function_timeout_seconds = 59.5
  }

  expect_failures = [var.function_timeout_seconds]
}

run "sweep_interval_minutes_rejects_nothing" {
  command = plan

  variables {
    sweep_interval_minutes = 0
  }

  expect_failures = [var.sweep_interval_minutes]
}

run "sweep_interval_minutes_rejects_half_a_minute" {
  command = plan

  variables {
    sweep_interval_minutes = 1.5
  }

  expect_failures = [var.sweep_interval_minutes]
}

run "sweep_interval_minutes_rejects_more_than_an_hour" {
  command = plan

  variables {
    sweep_interval_minutes = 61
  }

  expect_failures = [var.sweep_interval_minutes]
}

run "log_retention_days_rejects_what_cloudwatch_does_not_know" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "kms_key_arns_rejects_an_alias" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:ap-northeast-2:123456789012:alias/disks"]
  }

  expect_failures = [var.kms_key_arns]
}

run "kms_key_arns_rejects_a_wildcard" {
  command = plan

  variables {
    kms_key_arns = ["arn:aws:kms:ap-northeast-2:123456789012:key/*"]
  }

  expect_failures = [var.kms_key_arns]
}

run "permissions_boundary_arn_rejects_a_name" {
  command = plan

  variables {
    permissions_boundary_arn = "boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "permissions_boundary_arn_rejects_a_role" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:role/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "powertools_layer_arn_rejects_no_version" {
  command = plan

  variables {
    powertools_layer_arn = "arn:aws:lambda:ap-northeast-2:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64"
  }

  expect_failures = [var.powertools_layer_arn]
}

run "lambda_architecture_rejects_aarch64" {
  command = plan

  variables {
    lambda_architecture = "aarch64"
  }

  expect_failures = [var.lambda_architecture]
}

run "park_memory_size_rejects_less_than_128" {
  command = plan

  variables {
    park_memory_size = 127
  }

  expect_failures = [var.park_memory_size]
}

run "park_memory_size_rejects_half_a_megabyte" {
  command = plan

  variables {
    park_memory_size = 128.5
  }

  expect_failures = [var.park_memory_size]
}

run "park_memory_size_rejects_more_than_10240" {
  command = plan

  variables {
    park_memory_size = 10241
  }

  expect_failures = [var.park_memory_size]
}

run "start_memory_size_rejects_less_than_128" {
  command = plan

  variables {
    start_memory_size = 127
  }

  expect_failures = [var.start_memory_size]
}

run "start_memory_size_rejects_half_a_megabyte" {
  command = plan

  variables {
    start_memory_size = 128.5
  }

  expect_failures = [var.start_memory_size]
}

run "start_memory_size_rejects_more_than_10240" {
  command = plan

  variables {
    start_memory_size = 10241
  }

  expect_failures = [var.start_memory_size]
}

run "stay_signed_in_days_rejects_more_than_30" {
  command = plan

  variables {
    stay_signed_in_days = 31
  }

  expect_failures = [var.stay_signed_in_days]
}

run "stay_signed_in_days_rejects_half_a_day" {
  command = plan

  variables {
    stay_signed_in_days = 0.5
  }

  expect_failures = [var.stay_signed_in_days]
}

run "stay_signed_in_days_rejects_less_than_none" {
  command = plan

  variables {
    stay_signed_in_days = -1
  }

  expect_failures = [var.stay_signed_in_days]
}

run "address_protocol_rejects_what_runs_a_script" {
  command = plan

  variables {
    address_protocol = "javascript"
  }

  expect_failures = [var.address_protocol]
}

run "address_protocol_rejects_what_is_more_than_a_protocol" {
  command = plan

  variables {
    address_protocol = "https://"
  }

  expect_failures = [var.address_protocol]
}

run "start_reserved_concurrency_rejects_less_than_5" {
  command = plan

  variables {
    start_reserved_concurrency = 4
  }

  expect_failures = [var.start_reserved_concurrency]
}

run "start_reserved_concurrency_rejects_half_an_execution" {
  command = plan

  variables {
    start_reserved_concurrency = 10.5
  }

  expect_failures = [var.start_reserved_concurrency]
}

run "start_reserved_concurrency_rejects_more_than_1000" {
  command = plan

  variables {
    start_reserved_concurrency = 1001
  }

  expect_failures = [var.start_reserved_concurrency]
}

run "start_reserved_concurrency_rejects_less_than_none" {
  command = plan

  variables {
    start_reserved_concurrency = -1
  }

  expect_failures = [var.start_reserved_concurrency]
}

run "park_maximum_concurrency_rejects_less_than_2" {
  command = plan

  variables {
    park_maximum_concurrency = 1
  }

  expect_failures = [var.park_maximum_concurrency]
}

run "notification_topic_arn_rejects_a_name" {
  command = plan

  variables {
    notification_topic_arn = "park-volumes"
  }

  expect_failures = [var.notification_topic_arn]
}

run "notification_topic_arn_rejects_a_fifo_topic" {
  command = plan

  variables {
    notification_topic_arn = "arn:aws:sns:ap-northeast-2:123456789012:park-volumes.fifo"
  }

  expect_failures = [var.notification_topic_arn]
}

run "alarm_topic_arns_rejects_an_address" {
  command = plan

  variables {
    alarm_topic_arns = ["ada@example.com"]
  }

  expect_failures = [var.alarm_topic_arns]
}

run "alarm_topic_arns_rejects_six" {
  command = plan

  variables {
    alarm_topic_arns = [for n in range(6) : "arn:aws:sns:ap-northeast-2:123456789012:on-call-${n}"]
  }

  expect_failures = [var.alarm_topic_arns]
}

run "transit_alarm_hours_rejects_no_time" {
  command = plan

  variables {
    transit_alarm_hours = 0
  }

  expect_failures = [var.transit_alarm_hours]
}

run "transit_alarm_hours_rejects_more_than_a_month" {
  command = plan

  variables {
    transit_alarm_hours = 721
  }

  expect_failures = [var.transit_alarm_hours]
}

run "transit_alarm_hours_rejects_half_an_hour" {
  command = plan

  variables {
    transit_alarm_hours = 1.5
  }

  expect_failures = [var.transit_alarm_hours]
}

run "park_maximum_concurrency_rejects_half_a_function" {
  command = plan

  variables {
    park_maximum_concurrency = 2.5
  }

  expect_failures = [var.park_maximum_concurrency]
}

run "park_maximum_concurrency_rejects_more_than_1000" {
  command = plan

  variables {
    park_maximum_concurrency = 1001
  }

  expect_failures = [var.park_maximum_concurrency]
}

run "function_timeout_seconds_rejects_more_than_420" {
  command = plan

  variables {
    function_timeout_seconds = 421
    quiet_period_seconds     = 470
  }

  expect_failures = [var.function_timeout_seconds]
}

run "prices_rejects_a_name_that_is_no_price" {
  command = plan

  variables {
    prices = { gp4 = 0.08 }
  }

  expect_failures = [var.prices]
}

run "prices_rejects_less_than_0" {
  command = plan

  variables {
    prices = { gp3 = -0.01 }
  }

  expect_failures = [var.prices]
}

run "prices_rejects_more_than_100" {
  command = plan

  variables {
    prices = { gp3 = 100.01 }
  }

  expect_failures = [var.prices]
}

run "orphan_retention_days_rejects_less_than_1" {
  command = plan

  variables {
    orphan_retention_days = 0
  }

  expect_failures = [var.orphan_retention_days]
}

run "orphan_retention_days_rejects_half_a_day" {
  command = plan

  variables {
    orphan_retention_days = 1.5
  }

  expect_failures = [var.orphan_retention_days]
}

run "orphan_retention_days_rejects_more_than_3650" {
  command = plan

  variables {
    orphan_retention_days = 3651
  }

  expect_failures = [var.orphan_retention_days]
}

run "archive_after_days_rejects_less_than_0" {
  command = plan

  variables {
    archive_after_days = -1
  }

  expect_failures = [var.archive_after_days]
}

run "archive_after_days_rejects_half_a_day" {
  command = plan

  variables {
    archive_after_days = 1.5
  }

  expect_failures = [var.archive_after_days]
}

run "archive_after_days_rejects_more_than_3650" {
  command = plan

  variables {
    archive_after_days = 3651
  }

  expect_failures = [var.archive_after_days]
}

run "recycle_bin_days_rejects_less_than_0" {
  command = plan

  variables {
    recycle_bin_days = -1
  }

  expect_failures = [var.recycle_bin_days]
}

run "recycle_bin_days_rejects_half_a_day" {
  command = plan

  variables {
    recycle_bin_days = 1.5
  }

  expect_failures = [var.recycle_bin_days]
}

run "recycle_bin_days_rejects_more_than_365" {
  command = plan

  variables {
    recycle_bin_days = 366
  }

  expect_failures = [var.recycle_bin_days]
}

run "volume_initialization_rate_rejects_less_than_100" {
  command = plan

  variables {
    volume_initialization_rate = 99
  }

  expect_failures = [var.volume_initialization_rate]
}

run "volume_initialization_rate_rejects_half_a_mebibyte" {
  command = plan

  variables {
    volume_initialization_rate = 100.5
  }

  expect_failures = [var.volume_initialization_rate]
}

run "volume_initialization_rate_rejects_more_than_300" {
  command = plan

  variables {
    volume_initialization_rate = 301
  }

  expect_failures = [var.volume_initialization_rate]
}

run "peers_rejects_http" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "http://park.example.com/" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_a_path" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "https://park.example.com/instances" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_a_port" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "https://park.example.com:8443" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_somebody_else_in_front_of_the_host" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "https://ada@park.example.com" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_an_ip_address" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "https://203.0.113.9" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_a_second_source_in_the_policy" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "https://park.example.com; script-src *" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_capital_letters" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p = "https://Park.example.com" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_a_name_with_markup" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { "<b>" = "https://park.example.com" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_more_than_fits" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { p0 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-0.on.aws", p1 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-1.on.aws", p2 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-2.on.aws", p3 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-3.on.aws", p4 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-4.on.aws", p5 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-5.on.aws", p6 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-6.on.aws", p7 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-7.on.aws", p8 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-8.on.aws", p9 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-9.on.aws", p10 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-10.on.aws", p11 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-11.on.aws", p12 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-12.on.aws", p13 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-13.on.aws", p14 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-14.on.aws", p15 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-15.on.aws", p16 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-16.on.aws", p17 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-17.on.aws", p18 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-18.on.aws", p19 = "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-19.on.aws" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_the_same_address_twice" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { a = "https://park.example.com", b = "https://park.example.com/" }
  }

  expect_failures = [var.peers]
}

run "peers_rejects_any_without_tokens" {
  command = plan

  variables {
    peers = { p = "https://park.example.com" }
  }

  expect_failures = [var.peers]
}

run "page_origins_rejects_a_slash_at_the_end" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    page_origins               = ["https://park.example.com/"]
  }

  expect_failures = [var.page_origins]
}

run "page_origins_rejects_every_origin" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    page_origins               = ["*"]
  }

  expect_failures = [var.page_origins]
}

run "page_origins_rejects_http" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    page_origins               = ["http://park.example.com"]
  }

  expect_failures = [var.page_origins]
}

run "page_origins_rejects_two_in_one" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    page_origins               = ["https://park.example.com https://b.example.com"]
  }

  expect_failures = [var.page_origins]
}

run "page_origins_rejects_more_than_fits" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    page_origins               = ["https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-0.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-1.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-2.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-3.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-4.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-5.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-6.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-7.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-8.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-9.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-10.on.aws", "https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.lambda-url.ap-northeast-11.on.aws"]
  }

  expect_failures = [var.page_origins]
}

run "page_origins_rejects_any_without_tokens" {
  command = plan

  variables {
    page_origins = ["https://park.example.com"]
  }

  expect_failures = [var.page_origins]
}
