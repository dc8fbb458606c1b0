"""The local AWS: moto's server made strict and alive. Tests and the demo use ``LocalAws``."""

from tests.local_aws.client import LocalAws
from tests.local_aws.settings import QUICK, Settings

__all__ = ["QUICK", "LocalAws", "Settings"]
