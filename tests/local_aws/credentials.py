"""Who an access key belongs to, and its secret."""

from __future__ import annotations

from dataclasses import dataclass

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from tests.local_aws.world import ACCOUNT

# The example key pair of AWS's own documentation stands for an administrator, "the person at the keyboard".
ADMIN_KEY = "AKIAIOSFODNN7EXAMPLE"
ADMIN_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ADMIN = "admin"
PARTITION = "aws"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A signing identity. ``role_arn`` only for temporary credentials of a role."""

    access_key: str
    secret: str
    arn: str
    user_id: str
    session_token: str | None = None
    role_arn: str | None = None


def register_admin() -> None:
    """Makes the administrator an IAM user of moto's, so that GetCallerIdentity knows him."""
    iam = iam_backends[ACCOUNT][PARTITION]
    iam.create_user("us-east-1", ADMIN)
    key = iam.create_access_key(ADMIN)
    del iam.access_keys[key.access_key_id]
    key.access_key_id, key.secret_access_key = ADMIN_KEY, ADMIN_SECRET
    iam.access_keys[ADMIN_KEY] = key


def caller_of(access_key: str) -> Caller | None:
    """The owner of an access key: an IAM user or a role's session. None if it is nobody's."""
    for role in sts_backends[ACCOUNT][PARTITION].assumed_roles:
        if role.access_key_id == access_key:
            return Caller(
                access_key=access_key,
                secret=role.secret_access_key,
                session_token=role.session_token,
                arn=role.arn,
                user_id=role.user_id,
                role_arn=role.role_arn,
            )
    for user in list(iam_backends[ACCOUNT][PARTITION].users.values()):
        for key in user.access_keys:
            if key.access_key_id == access_key and key.status == "Active":
                return Caller(access_key=access_key, secret=key.secret_access_key, arn=user.arn, user_id=user.id)
    return None


def credentials_of_role(role_arn: str, session: str, region: str) -> Caller:
    """Temporary credentials of a role for a Lambda function, whose name is the session name."""
    role = sts_backends[ACCOUNT][PARTITION].assume_role(
        region_name=region, role_session_name=session, role_arn=role_arn, policy="", duration=43200, external_id=""
    )
    return Caller(
        access_key=role.access_key_id,
        secret=role.secret_access_key,
        session_token=role.session_token,
        arn=role.arn,
        user_id=role.user_id,
        role_arn=role_arn,
    )
