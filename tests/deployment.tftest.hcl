# What a deployment looks like, as far as a plan knows it. The real provider, without an account: it puts the policies together.

provider "aws" {
  region                      = "ap-northeast-2"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

provider "aws" {
  alias                       = "china"
  region                      = "cn-north-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

provider "aws" {
  alias                       = "us_gov"
  region                      = "us-gov-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

override_data {
  target = data.aws_caller_identity.current
  values = { account_id = "123456789012" }
}

run "by_default" {
  command = plan

  assert {
    condition     = length(aws_lambda_function_url.start.cors) == 0 && length(local.peers) == 0 && length(local.page_origins) == 0
    error_message = "Where no other deployment is named, nothing is deployed for others."
  }
  assert {
    condition     = length(aws_rbin_rule.snapshots) == 0
    error_message = "Nothing is kept, and billed, that nobody asked for."
  }
  assert {
    condition     = aws_sqs_queue.park.visibility_timeout_seconds > aws_lambda_function.function["park"].timeout
    error_message = "A message has to stay invisible for longer than the function that handles it may live."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.park.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "One broken message must not bring back its whole batch."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.park.scaling_config[0].maximum_concurrency == 2
    error_message = "The concurrency of the park function is bounded."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.reserved_concurrent_executions == -1])
    error_message = "A new account has 10 concurrent executions: none may be reserved."
  }
  assert {
    condition = alltrue([
      for function in aws_lambda_function.function :
      function.layers == tolist(["arn:aws:lambda:ap-northeast-2:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"])
    ])
    error_message = "Without a layer of one's own, the public one of the region and architecture is taken."
  }
  assert {
    condition     = alltrue([for name, group in aws_cloudwatch_log_group.function : group.name == "/aws/lambda/park-volumes-${name}"])
    error_message = "The log groups carry the names that Lambda and its users expect."
  }
  assert {
    condition     = aws_cloudwatch_event_rule.rule["sweep"].schedule_expression == "cron(0/5 * * * ? *)"
    error_message = "The sweep comes every five minutes."
  }
  assert {
    condition = toset(keys(aws_cloudwatch_event_target.target)) == toset([
      "instance-stopped/park", "snapshot-done/park", "volume-failed/start", "start-refused/start", "sweep/park",
      "start-goes-on/park", "start-sweep/start", "start-fallback/start", "reminder/park", "reminder/start",
    ])
    error_message = "Each rule reaches the side that acts on it."
  }
  assert {
    condition     = toset(keys(aws_lambda_permission.rule)) == toset(["volume-failed", "start-refused", "start-sweep", "start-fallback", "reminder"])
    error_message = "Exactly the rules that lead to the start function may invoke it."
  }
  assert {
    condition = length(setintersection(
      flatten(jsondecode(data.aws_iam_policy_document.start.json).Statement[*].Action),
      ["ec2:DeleteVolume", "ec2:DeleteSnapshot", "ec2:DetachVolume", "ec2:TerminateInstances", "ec2:UnlockSnapshot", "sqs:DeleteMessage"],
    )) == 0
    error_message = "The start function faces the internet: it may delete, detach, terminate and unlock nothing."
  }
  assert {
    condition = alltrue([
      for statement in concat(
        jsondecode(data.aws_iam_policy_document.park.json).Statement,
        jsondecode(data.aws_iam_policy_document.start.json).Statement,
      ) : !contains(flatten([statement.Resource]), "*") || alltrue([for action in flatten([statement.Action]) : can(regex("^[a-z0-9]+:(Describe|List)", action))])
    ])
    error_message = "Only calls that describe or list, for which EC2 knows no resources, are allowed on everything."
  }
  assert {
    condition = alltrue([
      for action in flatten(concat(
        jsondecode(data.aws_iam_policy_document.park.json).Statement[*].Action,
        jsondecode(data.aws_iam_policy_document.start.json).Statement[*].Action,
      )) : !strcontains(action, "*")
    ])
    error_message = "Every action is named in full."
  }
  assert {
    condition = [
      for statement in concat(
        jsondecode(data.aws_iam_policy_document.park.json).Statement,
        jsondecode(data.aws_iam_policy_document.start.json).Statement,
      ) : length(setintersection(statement.Condition.StringEqualsIgnoreCase["aws:ResourceTag/ParkVolumes"], ["true", " root", "  true  ", "root  "]))
      if can(statement.Condition.StringEqualsIgnoreCase["aws:ResourceTag/ParkVolumes"])
    ] == [4, 4, 4]
    error_message = "An instance is opted in by both words, whatever the case and with up to two blanks on either side."
  }
}

run "with_reserved_executions" {
  command = plan

  variables {
    start_reserved_concurrency = 10
  }

  assert {
    condition     = aws_lambda_function.function["start"].reserved_concurrent_executions == 10
    error_message = "However many ask for starts, the start function takes no more of the account than this."
  }
  assert {
    condition     = aws_lambda_function.function["park"].reserved_concurrent_executions == -1
    error_message = "The park function is bounded by its queue."
  }
}

run "without_starts_from_anywhere" {
  command = plan

  variables {
    start_on_failed_start = false
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_event_rule.rule), "start-refused") && !contains(keys(aws_lambda_permission.rule), "start-refused")
    error_message = "Without start_on_failed_start no record of CloudTrail reaches the module."
  }
}

run "with_a_topic" {
  command = plan

  variables {
    notification_topic_arn = "arn:aws:sns:ap-northeast-2:123456789012:people"
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] : [
        for statement in jsondecode(document.json).Statement : statement.Resource if contains(flatten([statement.Action]), "sns:Publish")
      ] == ["arn:aws:sns:ap-northeast-2:123456789012:people"]
    ])
    error_message = "Both functions may publish to the topic, and to no other."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] : toset(flatten([
        for statement in jsondecode(document.json).Statement : statement.Condition.StringEquals["events:source"]
        if contains(flatten([statement.Action]), "events:PutEvents")
      ])) == toset(["park-volumes", "park-volumes.internal"])
    ])
    error_message = "Both functions may put events on the bus in their own names only."
  }
}

run "without_a_topic" {
  command = plan

  assert {
    condition     = !strcontains(data.aws_iam_policy_document.park.json, "sns:") && !strcontains(data.aws_iam_policy_document.start.json, "sns:")
    error_message = "Without a topic nobody may publish."
  }
}

run "with_alarms" {
  command = plan

  variables {
    alarm_topic_arns       = ["arn:aws:sns:ap-northeast-2:123456789012:on-call"]
    transit_alarm_hours    = 2
    sweep_interval_minutes = 10
    dashboard              = true
  }

  assert {
    condition = toset(keys(aws_cloudwatch_metric_alarm.alarm)) == toset([
      "dead-letter", "park-errors", "start-errors", "park-throttles", "start-throttles", "transit", "start", "park-sweep",
    ])
    error_message = "There is an alarm for everything that somebody has to look at, and CloudWatch charges for the eleventh."
  }
  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.alarm :
      alarm.alarm_actions == toset(["arn:aws:sns:ap-northeast-2:123456789012:on-call"]) && alarm.ok_actions == alarm.alarm_actions
    ])
    error_message = "Every alarm tells the topics when it goes off and when it is over."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["transit"].threshold == 7200 && aws_cloudwatch_metric_alarm.alarm["start"].threshold == 900
    error_message = "Transit may take the hours that were set, a start 15 minutes."
  }
  assert {
    condition = (aws_cloudwatch_metric_alarm.alarm["park-sweep"].treat_missing_data == "breaching" &&
    aws_cloudwatch_metric_alarm.alarm["park-sweep"].period * aws_cloudwatch_metric_alarm.alarm["park-sweep"].evaluation_periods == 1800)
    error_message = "Three sweeps that left no number are a matter for an alarm."
  }
  assert {
    condition = alltrue([
      for key, alarm in aws_cloudwatch_metric_alarm.alarm : alarm.treat_missing_data == "notBreaching" if key != "park-sweep"
    ])
    error_message = "No number is no error, except of the sweep."
  }
  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.dashboard[0].dashboard_body).widgets) == 5
    error_message = "The dashboard shows the numbers."
  }
}

run "without_alarms" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.alarm) + length(aws_cloudwatch_dashboard.dashboard) == 0
    error_message = "Alarms that tell nobody and a dashboard that nobody wants are not made."
  }
}

run "every_hour" {
  command = plan

  variables {
    sweep_interval_minutes = 60
  }

  assert {
    condition     = aws_cloudwatch_event_rule.rule["sweep"].schedule_expression == "cron(0 * * * ? *)"
    error_message = "The step of a cron expression for minutes is less than 60."
  }
}

run "without_locks" {
  command = plan

  variables {
    lock_snapshots = false
  }

  assert {
    condition     = !strcontains(data.aws_iam_policy_document.park.json, "ec2:LockSnapshot") && strcontains(data.aws_iam_policy_document.park.json, "ec2:UnlockSnapshot")
    error_message = "What is not locked needs no permission to lock, but earlier locks must come off."
  }
}

run "with_named_keys_and_a_boundary" {
  command = plan

  variables {
    kms_key_arns             = ["arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(data.aws_iam_policy_document.start.json).Statement :
      statement.Resource == "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" if strcontains(jsonencode(statement.Action), "kms:")
    ])
    error_message = "With keys named, no other key may be used."
  }
  assert {
    condition     = alltrue([for role in aws_iam_role.function : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"])
    error_message = "Both roles are bounded."
  }
}

# A second deployment in the same account shares no name and no permission with the first.
run "of_another_team" {
  command = plan

  variables {
    name           = "other"
    opt_in_tag_key = "Nightly"
  }

  assert {
    condition = alltrue([
      for name in concat(
        [aws_sqs_queue.park.name, aws_sqs_queue.dead_letter.name],
        [for resource in aws_lambda_function.function : resource.function_name],
        [for resource in aws_cloudwatch_log_group.function : trimprefix(resource.name, "/aws/lambda/")],
        [for resource in aws_iam_role.function : resource.name],
        [for resource in aws_cloudwatch_event_rule.rule : resource.name],
      ) : startswith(name, "other-")
    ])
    error_message = "Every name begins with the name of the deployment."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] : alltrue([
        for statement in jsondecode(document.json).Statement : # all but the name under which every deployment tells what happened
        statement.Sid == "TellOnTheBus" || !can(regex("ParkVolumes|park-volumes([^:]|$)", jsonencode(statement)))
      ]) && strcontains(document.json, "aws:ResourceTag/Nightly")
    ])
    error_message = "The roles reach only what this deployment tagged and what is opted in by its own tag."
  }
}

run "under_another_name_than_before" {
  command = plan

  variables {
    name             = "parking"
    previous_names   = ["park-volumes"]
    recycle_bin_days = 7
  }

  assert {
    condition     = local.previous_names["PREVIOUS_NAMES"] == "park-volumes"
    error_message = "Both functions look after what bears the previous name."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] : alltrue([
        for statement in jsondecode(document.json).Statement : alltrue([
          for key, values in try(statement.Condition.StringEquals, {}) : toset(values) == toset(["parking", "park-volumes"])
          if key == "aws:ResourceTag/park-volumes:deployment"
          ]) && alltrue([
          for key, values in try(statement.Condition.StringLike, {}) : toset(values) == toset(["parking *", "park-volumes *"])
          if key == "aws:ResourceTag/park-volumes:mark"
        ])
      ])
    ])
    error_message = "Both roles reach what bears either name."
  }
  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.park.json).Statement : [
        try(statement.Condition.StringEquals["aws:RequestTag/park-volumes:deployment"], ""),
        try(statement.Condition.StringLikeIfExists["aws:RequestTag/park-volumes:mark"], ""),
      ] if contains(["CreateRecords", "MarkVolumes"], statement.Sid)
    ] == [["parking", ""], ["", "parking *"]]
    error_message = "Whatever is new bears the new name only."
  }
  assert {
    condition     = toset(aws_rbin_rule.snapshots[0].resource_tags[*].resource_tag_value) == toset(["parking", "park-volumes"])
    error_message = "The Recycle Bin keeps the snapshots of either name."
  }
}

run "with_what_an_organisation_asks_for" {
  command = plan

  variables {
    role_path       = "/division/"
    log_kms_key_arn = "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    log_level       = "DEBUG"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.function : role.path == "/division/"])
    error_message = "Both roles have the path."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.kms_key_id == "arn:aws:kms:ap-northeast-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"])
    error_message = "Both log groups are encrypted with the key."
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.logging_config[0].application_log_level == "DEBUG"])
    error_message = "Lambda drops nothing that the functions log."
  }
}

run "with_errors_only" {
  command = plan

  variables {
    log_level = "ERROR"
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : function.logging_config[0].application_log_level == null])
    error_message = "Lambda itself drops no line that has no level: the metrics have none."
  }
}

run "in_china" {
  command   = plan
  providers = { aws = aws.china }

  variables {
    powertools_layer_arn       = "arn:aws-cn:lambda:cn-north-1:123456789012:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start, data.aws_iam_policy_document.park_queue, data.aws_iam_policy_document.dead_letter_queue] :
      !strcontains(document.json, "arn:aws:") && strcontains(document.json, "arn:aws-cn:")
    ])
    error_message = "Every ARN is of the partition."
  }
  assert {
    condition = alltrue([
      for service in ["ec2", "ssm"] : alltrue([
        for ending in ["amazonaws.com", "amazonaws.com.cn"] :
        strcontains(data.aws_iam_policy_document.start.json, "\"${service}.cn-north-1.${ending}\"")
      ])
    ])
    error_message = "KMS may name the service with or without the suffix of the partition."
  }
}

run "in_the_us_government_regions" {
  command   = plan
  providers = { aws = aws.us_gov }

  variables {
    powertools_layer_arn = "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start, data.aws_iam_policy_document.park_queue, data.aws_iam_policy_document.dead_letter_queue] :
      !strcontains(document.json, "arn:aws:") && strcontains(document.json, "arn:aws-us-gov:")
    ])
    error_message = "Every ARN is of the partition."
  }
  assert {
    condition     = strcontains(data.aws_iam_policy_document.start.json, "arn:aws-us-gov:ec2:us-gov-west-1::snapshot/*") && strcontains(data.aws_iam_policy_document.start.json, "ec2.us-gov-west-1.amazonaws.com")
    error_message = "ARNs and service names are those of the partition."
  }
}

run "in_china_without_a_layer" {
  command   = plan
  providers = { aws = aws.china }

  expect_failures = [aws_lambda_function.function]
}

run "with_tokens" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
  }

  assert {
    condition     = aws_lambda_function_url.start.authorization_type == "NONE"
    error_message = "Browsers do not sign their requests: the function asks for the token."
  }
  assert {
    condition     = local.functions["start"].environment["FUNCTION_URL_AUTH"] == "TOKEN"
    error_message = "The function has to know that nobody else checks who calls."
  }
  assert {
    condition     = local.functions["start"].environment["STAY_SIGNED_IN_DAYS"] == "7" && local.functions["start"].environment["ADDRESS_PROTOCOL"] == "https"
    error_message = "The page says how long a device may stay signed in, and how an address is opened."
  }
  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.start.json).Statement : statement.Resource
      if contains(flatten([statement.Action]), "ssm:GetParameter")
    ] == ["arn:aws:ssm:ap-northeast-2:123456789012:parameter/park-volumes/tokens"]
    error_message = "The start function reads the parameter with the tokens, and no other."
  }
  assert {
    condition     = !strcontains(data.aws_iam_policy_document.park.json, "ssm:")
    error_message = "The park function needs no tokens."
  }
}

run "with_tokens_and_executions_that_others_need" {
  command = plan

  variables {
    function_url_auth      = "TOKEN"
    start_tokens_parameter = "/park-volumes/tokens"
  }

  expect_failures = [check.token_url_has_executions_of_its_own]
}

run "without_tokens" {
  command = plan

  assert {
    condition     = aws_lambda_function_url.start.authorization_type == "AWS_IAM"
    error_message = "By default callers sign their requests."
  }
  assert {
    condition     = !strcontains(data.aws_iam_policy_document.start.json, "ssm:")
    error_message = "Without tokens there is no parameter to read."
  }
}

run "with_a_recycle_bin" {
  command = plan

  variables {
    recycle_bin_days = 7
  }

  assert {
    condition     = length(aws_rbin_rule.snapshots) == 1 && aws_rbin_rule.snapshots[0].resource_type == "EBS_SNAPSHOT"
    error_message = "The rule is for snapshots."
  }
  assert {
    condition     = one(aws_rbin_rule.snapshots[0].resource_tags).resource_tag_key == "park-volumes:deployment" && one(aws_rbin_rule.snapshots[0].resource_tags).resource_tag_value == "park-volumes"
    error_message = "Only the snapshots of this deployment are kept, and billed."
  }
  assert {
    condition     = aws_rbin_rule.snapshots[0].retention_period[0].retention_period_value == 7
    error_message = "They are kept for as long as was asked for."
  }
}

run "in_its_own_region_only" {
  command = plan

  assert {
    condition = !strcontains(join("", [data.aws_iam_policy_document.park.json, data.aws_iam_policy_document.start.json]), "aws:RequestedRegion") && alltrue([
      for arn in flatten(concat(
        jsondecode(data.aws_iam_policy_document.park.json).Statement[*].Resource,
        jsondecode(data.aws_iam_policy_document.start.json).Statement[*].Resource,
      )) : split(":", arn)[3] == "ap-northeast-2" if arn != "*"
    ])
    error_message = "Without regions every ARN names the region, and no statement denies: what was deployed before this input existed stays as it is."
  }
  assert {
    condition     = length(local.regions) == 0
    error_message = "Without regions the functions know of none."
  }
}

run "in_its_own_region_by_its_name" {
  command = plan

  variables {
    regions = ["ap-northeast-2"]
  }

  assert {
    condition = alltrue([
      for arn in flatten(concat(
        jsondecode(data.aws_iam_policy_document.park.json).Statement[*].Resource,
        jsondecode(data.aws_iam_policy_document.start.json).Statement[*].Resource,
      )) : split(":", arn)[3] == "ap-northeast-2" if arn != "*"
    ])
    error_message = "The deployment's own region is no other region."
  }
}

run "in_two_regions" {
  command = plan

  variables {
    regions = ["eu-central-1"]
  }

  assert {
    condition     = local.regions["REGIONS"] == "eu-central-1"
    error_message = "The functions know the other region."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] : [
        for statement in jsondecode(document.json).Statement : [statement.Action, statement.Resource, statement.Condition] if statement.Effect == "Deny"
      ] == [["ec2:*", "*", { StringNotEquals = { "aws:RequestedRegion" = ["ap-northeast-2", "eu-central-1"] } }]]
    ])
    error_message = "Both roles are denied every call of EC2 outside of both regions."
  }
  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.start.json).Statement : statement.Condition.StringEquals["kms:ViaService"]
      if can(statement.Condition.StringEquals["kms:ViaService"])
    ] == [["ec2.ap-northeast-2.amazonaws.com", "ec2.eu-central-1.amazonaws.com"], ["ec2.ap-northeast-2.amazonaws.com", "ec2.eu-central-1.amazonaws.com"]]
    error_message = "Keys are used through EC2 of these regions."
  }
  assert {
    condition     = !strcontains(data.aws_iam_policy_document.start.json, "ec2:DescribeRegions")
    error_message = "Who is told the names asks nobody."
  }
  assert {
    condition     = output.deployment.event_bus_arn == "arn:aws:events:ap-northeast-2:123456789012:event-bus/default"
    error_message = "Events of other regions go to the bus of the deployment's own."
  }
  assert {
    condition     = toset(keys(output.deployment.rules)) == toset(["instance-stopped", "snapshot-done", "volume-failed", "start-refused"])
    error_message = "What EC2 says is forwarded, and nothing that the functions say to each other."
  }
}

run "in_every_region" {
  command = plan

  variables {
    regions = ["all"]
  }

  assert {
    condition     = local.regions["REGIONS"] == "all"
    error_message = "The functions ask which regions there are."
  }
  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] :
      strcontains(document.json, "ec2:DescribeRegions") && !strcontains(document.json, "Deny")
    ])
    error_message = "Both roles may ask, and are denied nothing."
  }
  assert {
    condition = alltrue([
      for arn in flatten(concat(
        jsondecode(data.aws_iam_policy_document.park.json).Statement[*].Resource,
        jsondecode(data.aws_iam_policy_document.start.json).Statement[*].Resource,
      )) : split(":", arn)[3] == (contains(["ec2", "kms", "license-manager"], split(":", arn)[2]) ? "*" : "ap-northeast-2") if arn != "*"
    ])
    error_message = "Only what belongs to instances is reached in any region; queues, logs and the bus stay in one."
  }
  assert {
    condition = [
      for statement in jsondecode(data.aws_iam_policy_document.start.json).Statement : statement.Condition.StringLike["kms:ViaService"]
      if can(statement.Condition.StringLike["kms:ViaService"])
    ] == ["ec2.*.amazonaws.com", "ec2.*.amazonaws.com"]
    error_message = "Keys are used through EC2 of any region, and through nothing else."
  }
}

# IAM takes 10,240 characters for all inline policies of a role, and counts no blanks: the documents have none.
run "in_as_many_regions_as_can_be_named_with_the_longest_names" {
  command = plan

  variables {
    name                       = "park-volumes-of-the-second-team2"
    previous_names             = [for n in range(4) : "park-volumes-of-the-second-tea-${n}"]
    opt_in_tag_key             = join("", [for n in range(127) : "a"])
    regions                    = [for n in range(20) : "ap-southeast-${n + 10}"]
    archive_after_days         = 60
    notification_topic_arn     = "arn:aws:sns:ap-northeast-2:123456789012:${join("", [for n in range(256) : "a"])}"
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens-of-the-second-team"
    start_reserved_concurrency = 10
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.park, data.aws_iam_policy_document.start] : length(replace(document.json, "/\\s/", "")) <= 10240
    ])
    error_message = "AWS takes the policies of both roles."
  }
}

run "in_both_regions_of_china" {
  command   = plan
  providers = { aws = aws.china }

  variables {
    regions              = ["cn-northwest-1"]
    powertools_layer_arn = "arn:aws-cn:lambda:cn-north-1:123456789012:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
  }

  assert {
    condition = alltrue([
      for name in setproduct(["cn-north-1", "cn-northwest-1"], ["amazonaws.com", "amazonaws.com.cn"]) :
      strcontains(data.aws_iam_policy_document.start.json, "\"ec2.${name[0]}.${name[1]}\"")
    ])
    error_message = "KMS may name EC2 of either region with or without the suffix of the partition."
  }
}

run "with_other_deployments" {
  command = plan

  variables {
    function_url_auth          = "TOKEN"
    start_tokens_parameter     = "/park-volumes/tokens"
    start_reserved_concurrency = 10
    peers                      = { staging = "https://staging.example.com/", "서울" = "https://seoul.example.com" }
    page_origins               = ["https://seoul.example.com", "https://staging.example.com"]
  }

  assert {
    condition     = jsondecode(local.peers["PEERS"]) == { staging = "https://staging.example.com", "서울" = "https://seoul.example.com" }
    error_message = "The function gets the origins of the peers, by their names."
  }
  assert {
    condition     = local.page_origins["PAGE_ORIGINS"] == "https://seoul.example.com https://staging.example.com"
    error_message = "The function gets the origins that it lets in."
  }
  assert {
    condition     = aws_lambda_function_url.start.cors[0].allow_origins == toset(["https://seoul.example.com", "https://staging.example.com"])
    error_message = "Lambda lets in the same origins as the function."
  }
  assert {
    condition     = !aws_lambda_function_url.start.cors[0].allow_credentials && aws_lambda_function_url.start.cors[0].allow_methods == toset(["GET", "POST"]) && aws_lambda_function_url.start.cors[0].allow_headers == toset(["authorization"])
    error_message = "No more is allowed than the page needs."
  }
}
