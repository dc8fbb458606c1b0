# Two roles, split by harm: park may destroy and cannot be reached from outside, start faces the internet and can delete nothing.
# Which conditions an action knows: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html

locals {
  # Roles are global: the same deployment may stand in several regions.
  role_names = { for key, name in local.function_names : key => "${name}-${local.region}" }

  # For several regions, ARNs name any, and the statement NowhereElse denies all others: an ARN for each would make the policies too long.
  in_region = length(local.covered) > 1 ? "*" : one(local.covered)

  instance_arns = "arn:${local.partition}:ec2:${local.in_region}:${local.account}:instance/*"
  volume_arns   = "arn:${local.partition}:ec2:${local.in_region}:${local.account}:volume/*"
  snapshot_arns = "arn:${local.partition}:ec2:${local.in_region}::snapshot/*"  # a snapshot's ARN names no account
  any_snapshot  = "arn:${local.partition}:ec2:${local.in_region}:*:snapshot/*" # as a condition, whatever stands for the account

  opt_in_tag     = "aws:ResourceTag/${var.opt_in_tag_key}"
  opt_in_words   = ["true", "root"]
  opt_in_blanks  = ["", " ", "  "] # IAM can ignore case, but has no pattern for blanks
  opt_in_values  = [for around in setproduct(local.opt_in_blanks, local.opt_in_words, local.opt_in_blanks) : join("", around)]
  mark_tag       = "aws:ResourceTag/park-volumes:mark"
  mark_values    = [for name in local.names : "${name} *"] # a mark is the deployment's name, a space, the instance and more
  new_marks      = ["${var.name} *"]
  deployment_tag = "aws:ResourceTag/park-volumes:deployment"

  tokens_parameter_arn = "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${trimprefix(coalesce(var.start_tokens_parameter, "none"), "/")}"

  # KMS tells through which service a key is used. In China its documentation does not say with which ending: hence both.
  through_ec2_here = distinct([data.aws_service.ec2.dns_name, "ec2.${local.region}.amazonaws.com"])
  through_ec2      = flatten([for region in local.covered : [for name in local.through_ec2_here : replace(name, local.region, region)]])
  through_ssm      = [for name in local.through_ec2_here : replace(name, "/^ec2/", "ssm")]
  is_or_is_like    = local.everywhere ? "StringLike" : "StringEquals"

  kms_key_arns = length(var.kms_key_arns) > 0 ? var.kms_key_arns : ["arn:${local.partition}:kms:${local.in_region}:${local.account}:key/*"]
}

resource "aws_iam_role" "function" { # "already exists": this account and region have a deployment of this name; choose another name
  for_each = local.role_names

  name                 = each.value
  path                 = var.role_path
  description          = "ParkVolumes: role of the function ${local.function_names[each.key]} in ${local.region}."
  assume_role_policy   = data.aws_iam_policy_document.assume_role.json
  permissions_boundary = var.permissions_boundary_arn
  tags                 = var.tags

  # With depends_on on the module the region is unknown while what it depends on changes: a name that is unknown would replace the role.
  # It changes with the name of the deployment only.
  lifecycle {
    ignore_changes       = [name]
    replace_triggered_by = [terraform_data.name]
  }
}

resource "terraform_data" "name" {
  input = var.name
}

resource "aws_iam_role_policy" "function" {
  for_each = {
    park  = data.aws_iam_policy_document.park.json
    start = data.aws_iam_policy_document.start.json
  }

  name   = local.function_names[each.key]
  role   = aws_iam_role.function[each.key].name
  policy = each.value
}

data "aws_iam_policy_document" "assume_role" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

# What both functions may do: look, write their own log, and tell what happened.
data "aws_iam_policy_document" "common" {
  for_each = local.function_names

  # EC2 knows no resources for its describe calls. Which regions there are, is asked only where all of them are covered. In
  # which tier a snapshot is, the park function asks only if it may archive some.
  statement {
    sid       = "Look"
    resources = ["*"]
    actions = concat(
      ["ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"],
      ["ec2:DescribeLockedSnapshots", "ec2:DescribeVolumesModifications", "ec2:ListVolumesInRecycleBin"],
      each.key == "start" || local.archives ? ["ec2:DescribeSnapshotTierStatus"] : [],
      each.key == "start" ? ["ec2:DescribeVolumeStatus"] : [],
      local.everywhere ? ["ec2:DescribeRegions"] : [],
    )
  }

  # With names of other regions: no call in any region but those and the deployment's own, whatever the other statements allow.
  dynamic "statement" {
    for_each = length(local.covered) > 1 ? ["*"] : []

    content {
      sid       = "NowhereElse"
      effect    = "Deny"
      actions   = ["ec2:*"]
      resources = [statement.value]

      condition {
        test     = "StringNotEquals"
        variable = "aws:RequestedRegion"
        values   = local.covered
      }
    }
  }

  # The log groups are made by Terraform, so that their retention holds.
  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/aws/lambda/${each.value}:*"]
  }

  # What happened, and what one function asks of the other, is told on the default bus, in our own name only ...
  statement {
    sid       = "TellOnTheBus"
    actions   = ["events:PutEvents"]
    resources = [local.event_bus_arn]

    condition {
      test     = "StringEquals"
      variable = "events:source"
      values   = ["park-volumes", "park-volumes.internal"]
    }
  }

  # ... and to the one topic, if there is one.
  dynamic "statement" {
    for_each = var.notification_topic_arn == null ? [] : [var.notification_topic_arn]

    content {
      sid       = "TellPeople"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# Park: snapshot, lock, detach, delete
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "park" {
  source_policy_documents = [data.aws_iam_policy_document.common["park"].json]

  # The park queue: take messages, and send those that bring the function back after the quiet period.
  statement {
    sid       = "UseParkQueue"
    actions   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"]
    resources = [local.park_queue_arn]
  }

  # A volume carries no tag of ours before it is copied, and copying harms nothing.
  statement {
    sid       = "CopyVolumes"
    actions   = ["ec2:CreateSnapshot"]
    resources = [local.volume_arns]
  }

  # Every snapshot is born as a record of this deployment ...
  statement {
    sid       = "CreateRecords"
    actions   = ["ec2:CreateSnapshot"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/park-volumes:deployment"
      values   = [var.name]
    }
  }

  # ... which takes the permission to tag while creating, and only then.
  statement {
    sid       = "TagNewRecords"
    actions   = ["ec2:CreateTags"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateSnapshot"]
    }
  }

  # Marks make a volume ours to detach and delete: only our own marks, never over another deployment's, and no other tag.
  statement {
    sid       = "MarkVolumes"
    actions   = ["ec2:CreateTags"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLikeIfExists"
      variable = "aws:RequestTag/park-volumes:mark"
      values   = local.new_marks
    }
    condition {
      test     = "StringLikeIfExists"
      variable = local.mark_tag
      values   = local.mark_values
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["park-volumes:mark", "park-volumes:place"]
    }
    condition {
      test     = "Null"
      variable = "aws:TagKeys"
      values   = ["false"]
    }
  }

  # Our snapshots keep what the marks of their volumes said, what is denied, when their instance was seen terminated, and why they could
  # not be discarded.
  statement {
    sid       = "MarkRecords"
    actions   = ["ec2:CreateTags"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = local.deployment_tag
      values   = local.names
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["park-volumes:kept", "park-volumes:mark", "park-volumes:terminated", "park-volumes:way-back"]
    }
    condition {
      test     = "Null"
      variable = "aws:TagKeys"
      values   = ["false"]
    }
  }

  # Snapshots of this deployment, and of this account, are guarded, archived, and discarded once they are superseded. Unlocking outlives
  # lock_snapshots = false.
  statement {
    sid = "GuardAndDiscardRecords"
    actions = concat(
      ["ec2:DeleteSnapshot", "ec2:UnlockSnapshot"],
      var.lock_snapshots ? ["ec2:LockSnapshot"] : [],
      local.archives ? ["ec2:ModifySnapshotTier"] : [],
    )
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = local.deployment_tag
      values   = local.names
    }
    condition {
      test     = "StringEqualsIfExists"
      variable = "ec2:Owner"
      values   = [local.account]
    }
  }

  # A snapshot that is shared with other accounts is not discarded, although EC2 would allow it.
  statement {
    sid       = "SeeWhetherRecordsAreShared"
    actions   = ["ec2:DescribeSnapshotAttribute"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = local.deployment_tag
      values   = local.names
    }
  }

  # Detaching takes both: an instance that is opted in ...
  statement {
    sid       = "DetachFromOptedInInstances"
    actions   = ["ec2:DetachVolume"]
    resources = [local.instance_arns]

    condition {
      test     = "StringEqualsIgnoreCase"
      variable = local.opt_in_tag
      values   = local.opt_in_values
    }
  }

  # ... and a volume that is marked. Deleting takes the mark, too.
  statement {
    sid       = "DetachAndDeleteMarkedVolumes"
    actions   = ["ec2:DeleteVolume", "ec2:DetachVolume"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = local.mark_tag
      values   = local.mark_values
    }
  }

  # A volume that was created only to try a key is deleted again.
  statement {
    sid       = "DeleteVolumesThatTriedKeys"
    actions   = ["ec2:DeleteVolume"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/park-volumes:rehearsal"
      values   = local.mark_values
    }
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# Start: create, attach, start, stop
# ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "start" {
  source_policy_documents = [data.aws_iam_policy_document.common["start"].json, data.aws_iam_policy_document.tokens.json]

  # Lambda delivers failed asynchronous invocations as this role.
  statement {
    sid       = "SendFailuresToDeadLetterQueue"
    actions   = ["sqs:SendMessage"]
    resources = [local.dead_letter_queue_arn]
  }

  # CloudTrail tells of starts elsewhere. Once a day the function checks whether there is a trail.
  dynamic "statement" {
    for_each = var.start_on_failed_start ? ["*"] : []

    content {
      sid       = "LookForTrails"
      actions   = ["cloudtrail:DescribeTrails"]
      resources = [statement.value]
    }
  }

  # Volumes come from snapshots of this deployment and account only, whatever others share and tag ...
  statement {
    sid       = "RestoreRecords"
    actions   = ["ec2:CreateVolume"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = local.deployment_tag
      values   = local.names
    }
    condition {
      test     = "StringEqualsIfExists"
      variable = "ec2:Owner"
      values   = [local.account]
    }
  }

  # ... and are born marked: an empty one cannot be made ...
  statement {
    sid       = "CreateMarkedVolumes"
    actions   = ["ec2:CreateVolume"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/park-volumes:mark"
      values   = local.mark_values
    }
    condition {
      test     = "ArnLike"
      variable = "ec2:ParentSnapshot"
      values   = [local.any_snapshot]
    }
  }

  # ... or as those that only try a key ...
  statement {
    sid       = "CreateVolumesThatTryKeys"
    actions   = ["ec2:CreateVolume"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/park-volumes:rehearsal"
      values   = local.mark_values
    }
    condition {
      test     = "ArnLike"
      variable = "ec2:ParentSnapshot"
      values   = [local.any_snapshot]
    }
  }

  # ... with the tags of the volumes they replace.
  statement {
    sid       = "TagNewVolumes"
    actions   = ["ec2:CreateTags"]
    resources = [local.volume_arns]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateVolume"]
    }
  }

  # Archived ones are brought back, whoever archived them, and whether archive_after_days is still set or not.
  statement {
    sid       = "BringRecordsBack"
    actions   = ["ec2:RestoreSnapshotTier"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = local.deployment_tag
      values   = local.names
    }
  }

  # A request to start, the number of the attempt, and whether the way back is allowed are remembered on the snapshots.
  statement {
    sid       = "RememberOnRecords"
    actions   = ["ec2:CreateTags"]
    resources = [local.snapshot_arns]

    condition {
      test     = "StringEquals"
      variable = local.deployment_tag
      values   = local.names
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["park-volumes:attempt", "park-volumes:start-requested", "park-volumes:way-back"]
    }
    condition {
      test     = "Null"
      variable = "aws:TagKeys"
      values   = ["false"]
    }
  }

  # A restored volume is given back to its owner. A DeleteTags without keys would take all tags off: hence Null.
  statement {
    sid       = "UnmarkVolumes"
    actions   = ["ec2:DeleteTags"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = local.mark_tag
      values   = local.mark_values
    }
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["park-volumes:mark", "park-volumes:place"]
    }
    condition {
      test     = "Null"
      variable = "aws:TagKeys"
      values   = ["false"]
    }
  }

  # Attaching takes both: a volume that is marked, be it a restored one or one that is put back ...
  statement {
    sid       = "AttachMarkedVolumes"
    actions   = ["ec2:AttachVolume"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = local.mark_tag
      values   = local.mark_values
    }
  }

  # ... and an instance that is opted in, which can then be started, and stopped again.
  statement {
    sid       = "AttachToAndSwitchOptedInInstances"
    actions   = ["ec2:AttachVolume", "ec2:StartInstances", "ec2:StopInstances"]
    resources = [local.instance_arns]

    condition {
      test     = "StringEqualsIgnoreCase"
      variable = local.opt_in_tag
      values   = local.opt_in_values
    }
  }

  # EC2 asks for this, too, where License Manager counts what runs; it knows no condition there.
  statement {
    sid       = "StartLicensedInstances"
    actions   = ["ec2:StartInstances"]
    resources = ["arn:${local.partition}:license-manager:${local.in_region}:${local.account}:license-configuration:*"]
  }

  # DeleteOnTermination and nothing else: the same call could also change user data or security groups. EC2 names the attribute
  # after the request parameter, but does not document the name: hence IfExists.
  statement {
    sid       = "RestoreDeleteOnTerminationOfInstances"
    actions   = ["ec2:ModifyInstanceAttribute"]
    resources = [local.instance_arns]

    condition {
      test     = "StringEqualsIgnoreCase"
      variable = local.opt_in_tag
      values   = local.opt_in_values
    }
    condition {
      test     = "StringEqualsIgnoreCaseIfExists"
      variable = "ec2:Attribute"
      values   = ["BlockDeviceMapping", "BlockDeviceMappings"]
    }
  }

  # EC2 evaluates the call on the volume, too, and tells no attribute there.
  statement {
    sid       = "RestoreDeleteOnTerminationOfVolumes"
    actions   = ["ec2:ModifyInstanceAttribute"]
    resources = [local.volume_arns]

    condition {
      test     = "StringLike"
      variable = local.mark_tag
      values   = local.mark_values
    }
  }

  # Customer keys, through EC2 only. Without the grant an instance with an encrypted root falls back to stopped.
  statement {
    sid       = "LetEC2UseKeys"
    actions   = ["kms:CreateGrant"]
    resources = local.kms_key_arns

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
    condition {
      test     = local.is_or_is_like
      variable = "kms:ViaService"
      values   = local.through_ec2
    }
  }

  # What EBS asks of whoever creates an encrypted volume:
  # https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
  statement {
    sid       = "RestoreEncryptedVolumes"
    resources = local.kms_key_arns
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]

    condition {
      test     = local.is_or_is_like
      variable = "kms:ViaService"
      values   = local.through_ec2
    }
  }
}

# Without TOKEN nothing is allowed.
data "aws_iam_policy_document" "tokens" {
  # With TOKEN only: the tokens of those who may start, and no other parameter.
  dynamic "statement" {
    for_each = local.with_tokens ? [local.tokens_parameter_arn] : []

    content {
      sid       = "ReadTokens"
      actions   = ["ssm:GetParameter"]
      resources = [statement.value]
    }
  }

  # With TOKEN only: the key of that parameter, through SSM and for that parameter.
  dynamic "statement" {
    for_each = local.with_tokens ? [local.tokens_parameter_arn] : []

    content {
      sid       = "DecryptTokens"
      actions   = ["kms:Decrypt"]
      resources = ["arn:${local.partition}:kms:${local.region}:${local.account}:key/*"]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = local.through_ssm
      }
      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:PARAMETER_ARN"
        values   = [statement.value]
      }
    }
  }
}

# ---------------------------------------------------------------------------------------------------------------------
# Callers of the Function URL
# ---------------------------------------------------------------------------------------------------------------------

# A call of a Function URL takes both: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
data "aws_iam_policy_document" "caller" {
  statement {
    sid       = "CallFunctionUrl"
    actions   = ["lambda:InvokeFunctionUrl"]
    resources = [aws_lambda_function.function["start"].arn]

    condition {
      test     = "StringEquals"
      variable = "lambda:FunctionUrlAuthType"
      values   = ["AWS_IAM"]
    }
  }

  statement {
    sid       = "InvokeThroughFunctionUrlOnly"
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.function["start"].arn]

    condition {
      test     = "Bool"
      variable = "lambda:InvokedViaFunctionUrl"
      values   = ["true"]
    }
  }
}
