"""Every way to declare the disks of an instance, and every way to opt it in, as Terraform configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of opting in. ``line`` is what it takes beside the opt-in tag, ``where`` the block that it goes into."""

    name: str
    opt_in: str = "true"
    lifecycle: str = ""
    volume_tag: str = ""
    line: str = ""
    where: str = ""


AS_IT_IS = Way(name="as_it_is")
IGNORED = Way(
    name="ignored",
    lifecycle="lifecycle { ignore_changes = [IGNORED] }",
    line="lifecycle { ignore_changes = [IGNORED] }",
    where="the `aws_instance`",
)
EXCLUDED = Way(
    name="excluded",
    volume_tag='ParkVolumes = "false"',
    line='ParkVolumes = "false"',
    where="the `tags` of the data volume, which then stays",
)
ROOT_ONLY = Way(
    name="root_only",
    opt_in="root",
    line='ParkVolumes = "root"',
    where="the `tags` of the `aws_instance`, and only its root volume is parked",
)
WAYS = (AS_IT_IS, IGNORED, EXCLUDED, ROOT_ONLY)
APPLIED = Way(name="applied")
"""Its owner applies while it is parked."""
PUT_BACK = Way(name="put_back")
"""It is started while it is being parked, so that its own volumes come back, with our marks."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A way of declaring disks: ``declared`` in words, ``disks`` inside the instance, ``beside`` it other resources.

    In both, NAME stands for the name of the resource, and TAG for the tag of a data volume, if it gets one. ``ignored``
    is what Terraform is asked to overlook where that is the way to opt in.
    """

    name: str
    declared: str
    disks: str = ""
    beside: str = ""
    provider: str = "aws"
    ignored: str = "root_block_device, ebs_block_device"

    @property
    def ways(self) -> tuple[Way, ...]:
        """Excluding data volumes is for those that declare one with tags of its own."""
        return tuple(way for way in WAYS if way is not EXCLUDED or "TAG" in self.disks + self.beside)

    def name_with(self, way: Way) -> str:
        return f"{self.name}_{way.name}"

    def configuration(self, way: Way) -> str:
        """The resources of this pattern, opted in this way."""
        name = self.name_with(way)
        machine = "" if "launch_template" in self.disks else "ami = var.ami\n  instance_type = var.instance_type"
        text = f"""\
resource "aws_instance" "{name}" {{
  provider = {self.provider}
  {machine}
  availability_zone = var.zone
  tags = {{ Name = "{name}", ParkVolumes = "{way.opt_in}" }}
  {self.disks}
  {way.lifecycle}
}}
{self.beside}
"""
        return self._filled_in(text).replace("NAME", name).replace("TAG", way.volume_tag)

    def line(self, way: Way) -> str:
        """What it takes to opt in this way beside the tag on the instance; empty for nothing."""
        return self._filled_in(way.line)

    def _filled_in(self, text: str) -> str:
        return text.replace("IGNORED", self.ignored)


PATTERNS = (
    Pattern(name="nothing", declared="no block device at all"),
    Pattern(
        name="root",
        declared="`root_block_device`",
        disks="""root_block_device {
    volume_type = "gp3"
    volume_size = 12
    iops = 4000
    throughput = 200
    delete_on_termination = false
  }""",
    ),
    Pattern(
        name="encrypted",
        declared="`root_block_device`, encrypted with a customer key",
        disks="""root_block_device {
    volume_type = "gp3"
    encrypted = true
    kms_key_id = aws_kms_key.NAME.arn
  }""",
        beside="""resource "aws_kms_key" "NAME" {
  deletion_window_in_days = 7
}""",
    ),
    Pattern(
        name="root_tags",
        declared="`root_block_device` with `tags`",
        disks="""root_block_device {
    volume_type = "io2"
    volume_size = 10
    iops = 500
    tags = { Team = "sales" }
  }""",
    ),
    Pattern(
        name="default_tags",
        declared="`root_block_device`, and `default_tags` of the provider",
        provider="aws.default_tags",
        disks="""root_block_device {
    volume_type = "gp2"
  }""",
    ),
    Pattern(
        name="volume_tags",
        declared="`volume_tags`",
        disks='volume_tags = { Team = "sales" }',
        ignored="volume_tags",
    ),
    Pattern(
        name="template",
        declared="a launch template",
        disks="""launch_template {
    id = aws_launch_template.NAME.id
    version = aws_launch_template.NAME.latest_version
  }""",
        beside="""resource "aws_launch_template" "NAME" {
  name = "NAME"
  image_id = var.ami
  instance_type = var.instance_type

  block_device_mappings {
    device_name = "/dev/sdf"

    ebs {
      volume_type = "gp3"
      volume_size = 10
      delete_on_termination = true
    }
  }
}""",
    ),
    Pattern(
        name="inline",
        declared="`ebs_block_device` inside the `aws_instance`",
        disks="""ebs_block_device {
    device_name = "/dev/sdf"
    volume_type = "gp3"
    volume_size = 10
    tags = { TAG }
  }""",
    ),
    Pattern(
        name="inline_with_volume_tags",
        declared="`ebs_block_device` inside the `aws_instance`, and `volume_tags`",
        disks="""volume_tags = { Team = "sales" }

  ebs_block_device {
    device_name = "/dev/sdf"
    volume_type = "gp3"
    volume_size = 10
  }""",
        ignored="root_block_device, ebs_block_device, volume_tags",
    ),
    Pattern(
        name="separate",
        declared="`aws_ebs_volume` and `aws_volume_attachment`",
        beside="""resource "aws_ebs_volume" "NAME" {
  availability_zone = var.zone
  type = "gp3"
  size = 10
  tags = { TAG }
}

resource "aws_volume_attachment" "NAME" {
  instance_id = aws_instance.NAME.id
  volume_id = aws_ebs_volume.NAME.id
  device_name = "/dev/sdf"
}""",
    ),
)

PREAMBLE = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "ami" {
  type = string
}

variable "zone" {
  type = string
}

variable "instance_type" {
  type    = string
  default = "t3.micro"
}

variable "ignored_tags" {
  type    = set(string)
  default = []
}

provider "aws" {
  ignore_tags {
    key_prefixes = var.ignored_tags
  }
}

provider "aws" {
  alias = "default_tags"

  default_tags {
    tags = { Team = "sales" }
  }

  ignore_tags {
    key_prefixes = var.ignored_tags
  }
}
"""


def every_way() -> Iterator[tuple[Pattern, Way]]:
    """What the table is made of."""
    for pattern in PATTERNS:
        for way in pattern.ways:
            yield pattern, way


def configuration() -> str:
    """One root module with every pattern, opted in every way, and those to which something happens meanwhile."""
    stacks = [pattern.configuration(way) for pattern, way in every_way()]
    mistaken = next(p for p in PATTERNS if p.name == "separate").configuration(APPLIED)
    put_back = [pattern.configuration(PUT_BACK) for pattern in PATTERNS]
    return "\n".join((PREAMBLE, *stacks, mistaken, *put_back))
