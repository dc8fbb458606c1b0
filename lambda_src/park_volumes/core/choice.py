"""Which volumes of an instance are parked, and why the others stay attached.

A volume stays where its owner says so, where a service manages it, and where something else knows it by its id: the one
that a start restores has another id."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from park_volumes.core import tags
from park_volumes.core.facts import Attachment, Observation, Volume
from park_volumes.core.settings import Settings

KNOWN_BY_ID: Mapping[str, tuple[str, ...]] = {
    "Kubernetes": (
        # https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/tagging.md
        "CSIVolumeName",
        "ebs.csi.aws.com/cluster*",
        "kubernetes.io/cluster/*",
        # Its pkg/driver/constants.go: what the volume plugin inside of Kubernetes wrote before it, and it still writes.
        "kubernetes.io/created-for/*",
        "KubernetesCluster",
        # EKS Auto Mode: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSBlockStoragePolicy.html
        "eks:eks-cluster-name",
    ),
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-resource-tags.html
    "CloudFormation": ("aws:cloudformation:*",),
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/infrastructure_IAM_role.html
    "Amazon ECS": ("AmazonECSCreated", "AmazonECSManaged"),
    # https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/applications-tagging-resources.html
    "Elastic Beanstalk": ("aws:elasticbeanstalk:*", "elasticbeanstalk:*"),
    # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html
    "Auto Scaling": ("aws:autoscaling:*",),
}
"""Who knows a volume by its id, and the keys of the tags that tell."""


def volumes_to_park(seen: Observation, settings: Settings) -> list[tuple[Volume, Attachment]]:
    instance = seen.instance
    root_only = tags.opt_in_word(instance.tags, settings) == tags.OPT_IN_ROOT
    return [
        (v, a)
        for v, a in seen.attached
        if (a.device == instance.root_device or not root_only) and not why_it_stays(v, seen, settings)
    ]


def why_it_stays(v: Volume, seen: Observation, settings: Settings) -> str:
    """Why a volume stays attached, after "because"; empty if nothing says so."""
    if tags.opt_in_word(v.tags, settings) in tags.NO:
        return f"it is tagged {settings.opt_in_tag_key}={v.tags[settings.opt_in_tag_key]}"
    return _why_it_is_not_ours(v, seen, settings)


def stays_in_words(seen: Observation, settings: Settings) -> str:
    """A sentence, with a space before it, about the volumes that stay attached although their owner did not say so;
    empty if there are none."""
    if tags.opt_in_word(seen.instance.tags, settings) == tags.OPT_IN_ROOT:
        return ""
    left = [
        f"{v.id}, because {why}"
        for v, _ in seen.attached
        if tags.opt_in_word(v.tags, settings) not in tags.NO and (why := _why_it_is_not_ours(v, seen, settings))
    ]
    return f" What stays attached: {'; '.join(left)}." if left else ""


def _why_it_is_not_ours(v: Volume, seen: Observation, settings: Settings) -> str:
    mapped = next((m.managed_by for m in seen.instance.mappings if m.volume_id == v.id), "")
    if manager := v.managed_by or mapped:
        return f"it is managed by {manager}, and nothing else may change it"
    if tags.opt_in_word(v.tags, settings) == tags.OPT_IN_ALL:
        return ""
    for who, patterns in KNOWN_BY_ID.items():
        if key := next((k for k in sorted(v.tags) for pattern in patterns if fnmatchcase(k, pattern)), ""):
            remedy = f"tag it {settings.opt_in_tag_key}={tags.OPT_IN_ALL} if it may come back with another id"
            return f"{who} knows it by its id (tag {key}): {remedy}"
    return ""
