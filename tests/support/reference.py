"""The tables of docs/reference.md: inputs by what one wants, outputs, requirements, resources, permissions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.hcl import blocks, load, plain
from tests.support.permissions import DOCUMENTS as ROLES
from tests.support.permissions import Permissions
from tests.support.terraform import ROOT

GROUPS = {
    "Name the deployment and its resources": ("name", "previous_names", "tags"),
    "Choose what is parked": (
        "opt_in_tag_key",
        "regions",
        "observe_only",
        "grace_period_minutes",
        "park_even_if_dearer",
        "prices",
        "allowed_product_codes",
    ),
    "Keep snapshots": (
        "lock_snapshots",
        "snapshot_retention_hours",
        "orphan_retention_days",
        "archive_after_days",
        "recycle_bin_days",
    ),
    "Start instances": (
        "function_url_auth",
        "start_tokens_parameter",
        "stay_signed_in_days",
        "address_protocol",
        "peers",
        "page_origins",
        "start_on_failed_start",
        "start_reserved_concurrency",
        "volume_initialization_rate",
    ),
    "Hear about it": (
        "notification_topic_arn",
        "alarm_topic_arns",
        "alarms",
        "transit_alarm_hours",
        "dashboard",
        "log_retention_days",
        "log_level",
    ),
    "Satisfy a security review": ("kms_key_arns", "log_kms_key_arn", "role_path", "permissions_boundary_arn"),
    "Tune the functions": (
        "function_timeout_seconds",
        "quiet_period_seconds",
        "sweep_interval_minutes",
        "park_memory_size",
        "start_memory_size",
        "park_maximum_concurrency",
        "lambda_architecture",
        "powertools_layer_arn",
    ),
}
"""Every input belongs to one group."""


def inputs() -> Iterator[str]:
    there = dict(blocks(load(ROOT / "variables.tf"), "variable"))
    grouped = [name for names in GROUPS.values() for name in names]
    if sorted(grouped) != sorted(there):
        raise ValueError(f"GROUPS and variables.tf differ: {sorted(set(grouped) ^ set(there))}.")
    for group, names in GROUPS.items():
        yield from (
            "",
            f"### {group}",
            "",
            "| input | type | default | required | what it is |",
            "|---|---|---|---|---|",
        )
        for name in names:
            yield _input(name, plain(there[name]))
    yield ""


def _input(name: str, variable: dict[str, Any]) -> str:
    kind = variable["type"].removeprefix("${").removesuffix("}")
    default = f"`{json.dumps(variable['default'])}`" if "default" in variable else ""
    required = "no" if default else "yes"
    return f"| `{name}` | `{kind}` | {default} | {required} | {variable['description']} |"


def outputs() -> Iterator[str]:
    yield "| output | what it is |"
    yield "|---|---|"
    for name, output in blocks(load(ROOT / "outputs.tf"), "output"):
        yield f"| `{name}` | {plain(output['description'])} |"


def requirements() -> Iterator[str]:
    (terraform,) = load(ROOT / "versions.tf")["terraform"]
    yield "| what | version |"
    yield "|---|---|"
    yield f"| Terraform | `{plain(terraform['required_version'])}` |"
    for providers in terraform["required_providers"]:
        for name, provider in plain(providers).items():
            yield f"| provider `{name}` (`{provider['source']}`) | `{provider['version']}` |"


def resources() -> Iterator[str]:
    """Every resource, by file."""
    yield "| resource | how many | in |"
    yield "|---|---|---|"
    for file in sorted(ROOT.glob("*.tf")):
        for name, body in blocks(load(file), "resource"):
            number = "several" if "for_each" in body else "one, or none" if "count" in body else "one"
            yield f"| `{name}` | {number} | [{file.name}](../{file.name}) |"


def permissions() -> Iterator[str]:
    told = Permissions()
    for role in ROLES:
        yield f"<details><summary>What the {role} function may do</summary>"
        yield from ("", "| statement | allows | on | where | why |", "|---|---|---|---|---|")
        for each in told.of(role):
            allows, on = (", ".join(f"`{one}`" for one in many) for many in (each.actions, each.resources))
            allows = f"denies {allows}" if each.denies else allows
            yield f"| {each.sid} | {allows} | {on} | {'; '.join(each.conditions)} | {each.why} |"
        yield from ("", "</details>", "")
