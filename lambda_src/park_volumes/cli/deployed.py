"""The deployment that the command line works beside: its settings, and whether it parks instances."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from park_volumes.core.environment import ALL, MissingSetting, from_environment, regions
from park_volumes.core.settings import Settings

DEFAULTS: Mapping[str, str] = {
    "OPT_IN_TAG_KEY": "ParkVolumes",
    "FUNCTION_TIMEOUT_SECONDS": "60",
    "QUIET_PERIOD_SECONDS": "120",
    "GRACE_PERIOD_MINUTES": "0",
    "SNAPSHOT_RETENTION_HOURS": "24",
    "LOCK_SNAPSHOTS": "true",
    "PARK_EVEN_IF_DEARER": "false",
    "OBSERVE_ONLY": "false",
    "ORPHAN_RETENTION_DAYS": "30",
    "ARCHIVE_AFTER_DAYS": "0",
    "VOLUME_INITIALIZATION_RATE": "0",
}
"""The environment that the module gives its functions by default. Also fills in what an older version does not give."""
LAYER = "arn:aws:lambda:{region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
"""The layer that the module gives its functions by default."""
PUBLIC = "aws"
"""The partition in which that layer is public. In the others, the module has to be given one."""
SDK = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=5, read_timeout=10)
"""Where Lambda cannot be reached, the command goes on soon without it."""
NO_SUCH_FUNCTION = "ResourceNotFoundException"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """``origin`` is a sentence that says where the settings come from. ``parks``: whether the deployed functions park
    instances; None if that is unknown. ``read``: whether the settings are those of its functions, which are there.
    ``layer`` is the ARN of their layer; empty if that is unknown. ``beside``: the region of a second deployment of the
    same name that also looks after this region; empty if there is none."""

    settings: Settings
    origin: str
    parks: bool | None
    read: bool = False
    layer: str = ""
    beside: str = ""

    @property
    def parks_again(self) -> str:
        """What becomes of restored instances, and how to prevent it; empty if nothing does."""
        if self.parks is False:
            return ""
        name, key = self.settings.deployment, self.settings.opt_in_tag_key
        who = f"{name} is deployed here: it parks" if self.parks else f"If {name} is deployed here, it parks"
        return (
            f"{who} restored instances again some minutes later. To prevent that, set observe_only = true and apply "
            f"before you restore; or remove the tag {key} from the instances as soon as they are restored."
        )


class _Unread(Exception):
    """The settings of the functions cannot be had; the message says why. ``parks`` as in Deployment."""

    def __init__(self, why: str, parks: bool | None = None) -> None:
        super().__init__(why)
        self.parks = parks


class _NotThere(_Unread):
    """There are no such functions."""

    def __init__(self, why: str) -> None:
        super().__init__(why, parks=False)


@dataclass(frozen=True, kw_only=True)
class Home:
    """The region in which a deployment may be that looks after others, and Lambda there."""

    region: str
    functions: Any


def find(functions: Any, *, name: str, region: str, given: Mapping[str, str], home: Home | None = None) -> Deployment:
    """The deployment of this name, as Lambda (the client ``functions``) knows it; or the one in ``home``, if it looks
    after this region too. What is ``given`` counts more, and is named like the environment variables of the
    functions."""
    fixed = {"DEPLOYMENT": name, "AWS_REGION": region, "OBSERVE_ONLY": "false"}  # whoever commands it wants it done
    but = ", except where an option says otherwise" if given else ""
    function = f"{name}-park"
    try:
        configuration, where = _configured(functions, function, region, home)
        variables = {**DEFAULTS, **configuration["Environment"]["Variables"]}
        settings = _read({**variables, **given, **fixed}, function)
    except _Unread as unread:
        origin = f"Settings: the module's defaults{but}, because {unread}."
        settings = from_environment({**DEFAULTS, **given, **fixed})
        return Deployment(settings=settings, origin=origin, parks=unread.parks)
    parks = variables["OBSERVE_ONLY"] != "true"
    layer = next((one["Arn"] for one in configuration.get("Layers", ())), "")
    origin = f"Settings: those of the function {function}{where}{but}."
    beside = "" if where else _beside(function, region, home)
    return Deployment(settings=settings, origin=origin, parks=parks, read=True, layer=layer, beside=beside)


def _configured(functions: Any, function: str, region: str, home: Home | None) -> tuple[dict[str, Any], str]:
    """The configuration of the function that looks after a region, and where it is if that is elsewhere."""
    try:
        return _configuration(functions, function, region), ""
    except _NotThere:
        if home is None:
            raise
    found = _elsewhere(function, region, home)
    found["Environment"]["Variables"].pop("PRICES", None)  # they are those of its own region
    return found, f" in {home.region}, which also looks after {region}"


def _elsewhere(function: str, region: str, home: Home) -> dict[str, Any]:
    """The configuration of the function at home, if that looks after this region. Raises _Unread."""
    found = _configuration(home.functions, function, home.region)
    try:
        covered = regions(found["Environment"]["Variables"])
    except MissingSetting as error:
        raise _Unread(f"{function} in {home.region} does not say which regions it looks after ({error})") from error
    if covered != ALL and region not in covered:
        words = f"there is no function {function} in {region}"
        raise _NotThere(f"{words}, and that in {home.region} does not look after it")
    return found


def _beside(function: str, region: str, home: Home | None) -> str:
    """The region of a second deployment of the name that looks after this one, too; empty if there is none."""
    try:
        return home.region if home and _elsewhere(function, region, home) else ""
    except _Unread:
        return ""


def _configuration(functions: Any, function: str, region: str) -> dict[str, Any]:
    """That of a function, with its environment. Raises _Unread without that."""
    call = f"lambda:GetFunctionConfiguration of {function}"
    try:
        found: dict[str, Any] = functions.get_function_configuration(FunctionName=function)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == NO_SUCH_FUNCTION:
            raise _NotThere(f"there is no function {function} in {region}") from error
        raise _Unread(f"{call} failed ({code})") from error
    except BotoCoreError as error:
        raise _Unread(f"{call} failed ({error})") from error
    environment = found.get("Environment", {})
    if "Variables" not in environment:  # for instance, their KMS key may not be used
        raise _Unread(f"{call} does not show its variables ({environment.get('Error', {}).get('ErrorCode', 'none')})")
    return found


def _read(variables: Mapping[str, str], function: str) -> Settings:
    try:
        return from_environment(variables)
    except MissingSetting as error:
        raise _Unread(f"the function {function} has settings that this version cannot read ({error})") from error
