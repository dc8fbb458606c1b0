"""Every way to declare the disks of an instance, and every way to opt it in, as Terraform configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace


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
REMEDIED = "remedied"
"""The name of the way that is a pattern's own."""
APPLIED = Way(name="applied")
"""Its owner applies while it is parked."""
PUT_BACK = Way(name="put_back")
"""It is started while it is being parked, so that its own volumes come back, with our marks."""


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """What helps with one pattern and no other: ``line`` and ``where``, and what that makes of the pattern."""

    line: str
    where: str
    makes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A way of declaring disks: ``declared`` in words, ``disks`` inside the instance, ``beside`` it other resources,
    and ``instance`` where it is declared in another way than by an `aws_instance`.

    In all, NAME stands for the name of the resource, and TAG for the tag of a data volume, if it gets one. ``ignored``
    is what Terraform is asked to overlook where that is the way to opt in. ``breaks_plans`` says that as it is, no plan
    of its stack succeeds while it is parked, so that it needs a stack of its own.
    """

    name: str
    declared: str
    disks: str = ""
    beside: str = ""
    provider: str = "aws"
    ignored: str = "root_block_device, ebs_block_device"
    instance: str = ""
    type: str = "var.instance_type"
    lifecycle: str = ""
    remedy: Remedy | None = None
    breaks_plans: bool = False

    @property
    def ways(self) -> tuple[Way, ...]:
        """Excluding data volumes is for those that declare one with tags of its own."""
        if self.remedy:
            return AS_IT_IS, Way(name=REMEDIED, line=self.remedy.line, where=self.remedy.where)
        return tuple(way for way in WAYS if way is not EXCLUDED or "TAG" in self.disks + self.beside)

    def name_with(self, way: Way) -> str:
        return f"{self.name}_{way.name}"

    def configuration(self, way: Way) -> str:
        """The resources of this pattern, opted in this way."""
        if way.name == REMEDIED and self.remedy:
            made: Pattern = replace(self, remedy=None, **self.remedy.makes)  # type: ignore[arg-type]  # all are strings
            return made.configuration(way)
        name = self.name_with(way)
        machine = "" if "launch_template" in self.disks else f"ami = var.ami\n  instance_type = {self.type}"
        text = f"{self.instance}\n{self.beside}"
        if not self.instance:
            text = f"""\
resource "aws_instance" "{name}" {{
  provider = {self.provider}
  {machine}
  availability_zone = var.zone
  tags = {{ Name = "{name}", ParkVolumes = "{way.opt_in}" }}
  {self.disks}
  {way.lifecycle or self.lifecycle}
}}
{self.beside}
"""
        return self._filled_in(text).replace("NAME", name).replace("TAG", way.volume_tag)

    def line(self, way: Way) -> str:
        """What it takes to opt in this way beside the tag on the instance; empty for nothing."""
        return self._filled_in(way.line)

    def _filled_in(self, text: str) -> str:
        return text.replace("IGNORED", self.ignored)


OF_DISKS = (
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

MODULE = """module "NAME" {
  source = "./ec2-instance"

  name              = "NAME"
  ami               = var.ami
  instance_type     = var.instance_type
  availability_zone = var.zone
  tags              = { ParkVolumes = "true" }
  MORE
}"""
"""A call of the module below."""
WITH_LINE = MODULE.replace("MORE", "enable_volume_tags = false\n\n  DISKS")

OF_MODULES = (
    Pattern(
        name="module",
        declared="the module `terraform-aws-modules/ec2-instance`",
        instance=MODULE.replace("MORE", ""),
        remedy=Remedy(
            line="enable_volume_tags = false",
            where="the call of that module",
            makes={"instance": MODULE.replace("MORE", "enable_volume_tags = false")},
        ),
    ),
    Pattern(
        name="module_5",
        declared="its `ebs_block_device` (version 5), beside that line",
        instance=WITH_LINE.replace("DISKS", 'ebs_block_device = [{ device_name = "/dev/sdf", volume_size = 10 }]'),
        remedy=Remedy(
            line='tags = { ParkVolumes = "false" }',
            where="each of these disks, which then stay",
            makes={
                "instance": WITH_LINE.replace(
                    "DISKS",
                    """ebs_block_device = [
    { device_name = "/dev/sdf", volume_size = 10, tags = { ParkVolumes = "false" } },
  ]""",
                )
            },
        ),
    ),
    Pattern(
        name="module_6",
        declared="its `ebs_volumes` (version 6), beside that line",
        instance=WITH_LINE.replace("DISKS", 'ebs_volumes = { "/dev/sdf" = { size = 10, tags = {} } }'),
        remedy=Remedy(
            line='tags = { ParkVolumes = "false" }',
            where="each of these disks, which then stay",
            makes={
                "instance": WITH_LINE.replace(
                    "DISKS", 'ebs_volumes = { "/dev/sdf" = { size = 10, tags = { ParkVolumes = "false" } } }'
                )
            },
        ),
    ),
)
"""Instances inside a module whose code nobody changes, so that whatever helps has to be one of its inputs."""

OTHERS = (
    Pattern(
        name="tag",
        declared="`aws_ec2_tag` on the root volume",
        beside="""resource "aws_ec2_tag" "NAME" {
  resource_id = aws_instance.NAME.root_block_device[0].volume_id
  key = "Team"
  value = "sales"
}""",
        remedy=Remedy(
            line='tags = { Team = "sales" }',
            where="the `root_block_device`, with the tag of the `aws_ec2_tag`, which it replaces",
            makes={"disks": 'root_block_device {\n    tags = { Team = "sales" }\n  }', "beside": ""},
        ),
    ),
    Pattern(
        name="data",
        declared='`data "aws_ebs_volume"`, found by its attachment',
        beside="""data "aws_ebs_volume" "NAME" {
  most_recent = true

  filter {
    name = "attachment.instance-id"
    values = [aws_instance.NAME.id]
  }
}""",
        breaks_plans=True,
        remedy=Remedy(
            line='data "aws_ebs_volumes"',
            where="its place, which may find none",
            makes={
                "beside": """data "aws_ebs_volumes" "NAME" {
  filter {
    name = "attachment.instance-id"
    values = [aws_instance.NAME.id]
  }
}"""
            },
        ),
    ),
    Pattern(
        name="type",
        declared="another `instance_type`, applied while it is parked",
        type="var.wanted_type",
        remedy=Remedy(
            line="lifecycle { ignore_changes = [instance_type] }",
            where="the `aws_instance` as long as it is parked",
            makes={"lifecycle": "lifecycle { ignore_changes = [instance_type] }"},
        ),
    ),
    Pattern(
        name="state",
        declared="`aws_ec2_instance_state` with `running`",
        beside="""resource "aws_ec2_instance_state" "NAME" {
  instance_id = aws_instance.NAME.id
  state = "running"
}""",
        remedy=Remedy(
            line="lifecycle { ignore_changes = [state] }",
            where="the `aws_ec2_instance_state`",
            makes={
                "beside": """resource "aws_ec2_instance_state" "NAME" {
  instance_id = aws_instance.NAME.id
  state = "running"

  lifecycle {
    ignore_changes = [state]
  }
}"""
            },
        ),
    ),
)
"""What stacks have beside their disks."""

INSTANCE_MODULE = """\
# An instance as terraform-aws-modules/ec2-instance declares it: version 5 with ebs_block_device, 6 with ebs_volumes.
variable "name" {
  type = string
}

variable "ami" {
  type = string
}

variable "instance_type" {
  type = string
}

variable "availability_zone" {
  type = string
}

variable "tags" {
  type = map(string)
}

variable "enable_volume_tags" {
  type    = bool
  default = true
}

variable "ebs_block_device" {
  type    = list(any)
  default = []
}

variable "ebs_volumes" {
  type    = map(object({ size = number, tags = map(string) }))
  default = {}
}

resource "aws_instance" "this" {
  count = 1

  ami               = var.ami
  instance_type     = var.instance_type
  availability_zone = var.availability_zone
  tags              = merge({ Name = var.name }, var.tags)
  volume_tags       = var.enable_volume_tags ? { Name = var.name } : null

  dynamic "ebs_block_device" {
    for_each = var.ebs_block_device

    content {
      device_name = ebs_block_device.value.device_name
      volume_size = ebs_block_device.value.volume_size
      tags        = try(ebs_block_device.value.tags, null)
    }
  }
}

resource "aws_ebs_volume" "this" {
  for_each = var.ebs_volumes

  availability_zone = aws_instance.this[0].availability_zone
  type              = "gp3"
  size              = each.value.size
  tags              = merge({ Name = "${var.name}-${each.key}" }, each.value.tags)
}

resource "aws_volume_attachment" "this" {
  for_each = var.ebs_volumes

  device_name = each.key
  instance_id = aws_instance.this[0].id
  volume_id   = aws_ebs_volume.this[each.key].id
}
"""

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

variable "wanted_type" {
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


PATTERNS = (*OF_DISKS, *OF_MODULES, *OTHERS)


def every_way() -> Iterator[tuple[Pattern, Way]]:
    """What the table is made of."""
    for pattern in PATTERNS:
        for way in pattern.ways:
            yield pattern, way


def _breaks_plans(pattern: Pattern, way: Way) -> bool:
    return pattern.breaks_plans and way is AS_IT_IS


def configuration() -> str:
    """One root module with every pattern, opted in every way, and those to which something happens meanwhile."""
    stacks = [pattern.configuration(way) for pattern, way in every_way() if not _breaks_plans(pattern, way)]
    mistaken = next(p for p in PATTERNS if p.name == "separate").configuration(APPLIED)
    put_back = [pattern.configuration(PUT_BACK) for pattern in OF_DISKS]
    return "\n".join((PREAMBLE, *stacks, mistaken, *put_back))


def breaking_configuration() -> str:
    """Another one with those of which no plan succeeds."""
    stacks = [pattern.configuration(way) for pattern, way in every_way() if _breaks_plans(pattern, way)]
    return "\n".join((PREAMBLE, *stacks))
