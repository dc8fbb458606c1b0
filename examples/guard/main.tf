# Keeps the tags park-volumes:* of volumes and snapshots for the two roles of each deployment: as a service control policy for whole
# accounts, and as a permissions boundary for people and roles where there is no organization.

locals {
  partition = data.aws_partition.current.partition

  # As iam.tf of the module names them.
  roles = flatten([
    for d in var.deployments : [
      for side in ["park", "start"] : "arn:${local.partition}:iam::${d.account}:role${d.role_path}${d.name}-${side}-${d.region}"
    ]
  ])
  writers = sort(distinct(concat(local.roles, tolist(var.other_writers))))

  # The tag that every one of ours bears, by the type of its resource.
  told_by = {
    snapshot = "park-volumes:deployment"
    volume   = "park-volumes:mark"
  }
  arns = { for type, tag in local.told_by : type => "arn:${local.partition}:ec2:*:*:${type}/*" }
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "guard" {
  # Whoever creates something with tags is also asked for CreateTags; that the creations are named as well, costs nothing. On instances
  # the key park-volumes:initialization-rate is the owner's, so that instances are left out.
  statement {
    sid       = "OnlyParkVolumesTags"
    effect    = "Deny"
    actions   = ["ec2:Copy*", "ec2:Create*", "ec2:DeleteTags", "ec2:ImportSnapshot", "ec2:RunInstances"]
    resources = values(local.arns)

    condition {
      test     = "ForAnyValue:StringLike"
      variable = "aws:TagKeys"
      values   = ["park-volumes:*"]
    }
    condition {
      test     = "ArnNotLike"
      variable = "aws:PrincipalArn"
      values   = local.writers
    }
  }

  # A DeleteTags that names no key takes all tags off.
  dynamic "statement" {
    for_each = local.told_by

    content {
      sid       = "OnlyParkVolumesClears${title(statement.key)}s"
      effect    = "Deny"
      actions   = ["ec2:DeleteTags"]
      resources = [local.arns[statement.key]]

      condition {
        test     = "Null"
        variable = "aws:TagKeys"
        values   = ["true"]
      }
      condition {
        test     = "Null"
        variable = "aws:ResourceTag/${statement.value}"
        values   = ["false"]
      }
      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        values   = local.writers
      }
    }
  }
}

resource "aws_organizations_policy" "guard" {
  count = length(var.target_ids) > 0 ? 1 : 0

  name        = "park-volumes-guard"
  description = "Keeps the tags park-volumes:* of volumes and snapshots for ParkVolumes."
  type        = "SERVICE_CONTROL_POLICY"
  content     = data.aws_iam_policy_document.guard.minified_json

  lifecycle {
    precondition {
      condition     = length(data.aws_iam_policy_document.guard.minified_json) <= 5120
      error_message = "The policy has ${length(data.aws_iam_policy_document.guard.minified_json)} characters, and a service control policy takes 5120: name fewer deployments, with account = \"*\" or region = \"*\" where several are alike."
    }
  }
}

resource "aws_organizations_policy_attachment" "guard" {
  for_each = var.target_ids

  policy_id = aws_organizations_policy.guard[0].id
  target_id = each.value
}

# A boundary grants nothing by itself: its bearer may do what both it and the bearer's own policies allow.
data "aws_iam_policy_document" "boundary" {
  #checkov:skip=CKV_AWS_1:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_49:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_107:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_108:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_109:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_110:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_111:a boundary grants nothing; the bearer's own policies do
  #checkov:skip=CKV_AWS_356:a boundary grants nothing; the bearer's own policies do
  source_policy_documents = [data.aws_iam_policy_document.guard.json]

  statement {
    sid       = "WhateverTheirPoliciesAllow"
    actions   = ["*"]
    resources = ["*"]
  }
}

resource "aws_iam_policy" "boundary" {
  name        = "park-volumes-guard"
  description = "A permissions boundary that keeps the tags park-volumes:* of volumes and snapshots for ParkVolumes."
  policy      = data.aws_iam_policy_document.boundary.minified_json
}
