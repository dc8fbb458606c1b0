"""The account and region that a person works on, and the others that the same person reaches from there."""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import boto3
import botocore.session
from botocore.exceptions import ProfileNotFound


class NotPossible(Exception):
    """The request cannot be carried out at all; the message says why."""


def _nowhere(_: str) -> "Account":
    raise NotPossible("From here no other account or region can be reached.")


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account and region. ``client`` creates the SDK clients, and ``regions`` are those that the SDK knows.
    ``moved`` is the same account in another region, and ``assume`` the account of the role with an ARN. ``home`` is the
    region from which the person has come here, where a deployment may be that looks after this one; empty if that is
    not known."""

    client: Callable[..., Any]
    region: str
    credentials: Callable[[], Any]
    regions: Callable[[], Sequence[str]] = tuple
    moved: Callable[[str], "Account"] = _nowhere
    assume: Callable[[str], "Account"] = _nowhere
    home: str = ""


def connect(options: argparse.Namespace) -> Account:
    """The account of the credentials, and a region: that of the option, of the environment, or of the profile."""
    region = options.region or os.environ.get("AWS_REGION")  # boto3 itself reads only AWS_DEFAULT_REGION
    try:
        session = boto3.Session(profile_name=options.profile, region_name=region)
    except ProfileNotFound as error:
        raise NotPossible(_no_such_profile(error.kwargs["profile"])) from error
    if not session.region_name:
        raise NotPossible("No region: give --region, for example --region eu-west-1, or set AWS_REGION.")
    return _of(session, partial(boto3.Session, profile_name=options.profile))


def _of(session: boto3.Session, again: Callable[..., boto3.Session]) -> Account:
    """``again`` makes a session of the same credentials for another region."""
    return Account(
        client=session.client,
        region=session.region_name,
        credentials=session.get_credentials,
        regions=partial(_regions, session),
        moved=lambda region: _of(again(region_name=region), again),
        assume=partial(_assume, session),
    )


def _assume(session: boto3.Session, role: str) -> Account:
    found = session.client("sts").assume_role(RoleArn=role, RoleSessionName="park-volumes")["Credentials"]
    again = partial(
        boto3.Session,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    return _of(again(region_name=session.region_name), again)


def _regions(session: boto3.Session) -> list[str]:
    return [r for p in session.get_available_partitions() for r in session.get_available_regions("ec2", p)]


def _no_such_profile(name: str) -> str:
    known = ", ".join(sorted(botocore.session.Session().available_profiles))
    which = f"give one of these: {known}" if known else "this computer has none; `aws configure` makes one"
    return f"There is no AWS profile {name!r} (--profile, AWS_PROFILE): {which}."
