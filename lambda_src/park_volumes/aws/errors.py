"""The errors of EC2 as our own exceptions, distinguished by their codes."""

import re
from collections.abc import Iterable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

GONE: Final = frozenset({"InvalidVolume.NotFound", "InvalidSnapshot.NotFound", "InvalidInstanceID.NotFound"})
MISMATCH: Final = "IdempotentParameterMismatch"
"""The code of a call whose token was used with other parameters."""
RACED: Final = GONE | {
    "IncorrectState",
    "IncorrectInstanceState",
    "VolumeInUse",
    "InvalidAttachment.NotFound",
    MISMATCH,
    "SnapshotCreationPerVolumeRateExceeded",
    "ConcurrentSnapshotLimitExceeded",
}
"""The codes if the resource is not, or no longer, in the observed state: look again."""
THROTTLED: Final = "RequestLimitExceeded"
"""The code of a call that EC2 throttled, even after the SDK's own retries."""
DENIALS: Final = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "TagPolicyViolation"})
"""The codes of a call that a policy does not allow, given the current tags of the resource."""
SHUT: Final = DENIALS | {"AuthFailure", "OptInRequired", "InvalidClientTokenId", "UnrecognizedClientException"}
"""The codes of a call in a region that a policy closes, or that the account has not enabled."""
LOOKS: Final = frozenset({"DescribeInstances", "DescribeSnapshots", "DescribeVolumes"})
"""The calls of every look at a whole region."""
ROOTLESS: Final = re.compile("does not have a volume attached at root")
"""What StartInstances says where the root volume is missing, with a code that also means other things."""
INVALID: Final = "InvalidParameterValue"
"""The code of a call that EC2 does not accept: for what it says, or for the state that something is in."""
WOULD_SUCCEED: Final = "DryRunOperation"
"""The code of a dry run of a call that is allowed."""
CALLERS_FAULT: Final = range(400, 500)
"""The HTTP status of an error that the caller made: EC2 has done nothing."""


class Ec2Error(Exception):
    """A call that EC2 refused or that did not reach it, as a sentence. ``refused``: it certainly changed nothing;
    ``silent``: there was no answer."""

    def __init__(
        self, action: str, resource: str, code: str, message: str, *, refused: bool = False, silent: bool = False
    ) -> None:
        super().__init__(f"{action} failed for {resource} ({code}): {message}")
        self.action, self.resource, self.code, self.message = action, resource, code, message
        self.refused, self.silent = refused, silent

    @property
    def denied(self) -> bool:
        return self.code in DENIALS

    @property
    def out_of_reach(self) -> bool:
        """Whether the region cannot be looked at. Where only something else is denied, it can."""
        return self.silent or (self.code in SHUT and self.action in LOOKS)

    @property
    def limited(self) -> bool:
        """Whether a quota of the account or of a resource is used up."""
        return self.code.endswith("LimitExceeded") and self.code != THROTTLED

    @property
    def in_use(self) -> bool:
        return self.code.endswith("InUse")


class Raced(Ec2Error):
    """EC2 refused because the state is no longer as observed. Nothing is wrong: look again, and decide again."""

    @property
    def for_good(self) -> Ec2Error:
        """The same error where looking again does not help."""
        return Ec2Error(self.action, self.resource, self.code, self.message, refused=self.refused)


class errors_of:  # noqa: N801  # reads as the preposition of a with statement
    """Turns the errors of one call into ours: done (no error at all), Raced, or Ec2Error."""

    def __init__(self, action: str, resource: str, *, done: Iterable[str] = (), raced: Iterable[str] = ()) -> None:
        self._action, self._resource = action, resource
        self._done, self._raced = done, raced

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, ClientError):
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if code in self._done:
                return True
            ours = Raced if code in RACED or code in self._raced else Ec2Error
            refused = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in CALLERS_FAULT
            raise ours(self._action, self._resource, code, message, refused=refused) from error
        if isinstance(error, BotoCoreError):
            refused = isinstance(error, ParamValidationError)
            code, silent = type(error).__name__, not refused
            raise Ec2Error(self._action, self._resource, code, str(error), refused=refused, silent=silent) from error
        return False
