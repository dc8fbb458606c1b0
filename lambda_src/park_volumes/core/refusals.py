"""Reasons to refuse, each a sentence that says what to do next; an empty string means no objection. A reason that
belongs to a single step stands beside that step: in park.py, start.py or retention.py.

The instances that must not be parked come first, then what prevents volumes from being put back or restored, and last
the deployment that only observes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from park_volumes.core import tags
from park_volumes.core.choice import volumes_to_park, why_it_stays
from park_volumes.core.facts import Instance, Observation, SnapshotRecord, Volume, VolumeInTransit
from park_volumes.core.phase import stopped_on_purpose
from park_volumes.core.prices import GIB, savings, snapshot_price, volume_price
from park_volumes.core.settings import Settings
from park_volumes.core.steps import CreateSnapshot, Decision, Outcome
from park_volumes.core.tags import LEAVE_ATTACHED
from park_volumes.core.way_back import in_words, is_denied

REGION_ZONE = re.compile(r"[a-z]+(-[a-z]+)+-[0-9]+[a-z]")
"""An Availability Zone, in every partition: the name of its region, which ends in its only number, and a letter. Not a
Local Zone (us-west-2-lax-1a), not a Wavelength Zone (us-east-1-wl1-bos-wlz-1)."""
ON_A_VOLUME = (*tags.OPTED_IN, *tags.NO)
"""The values that the opt-in tag can have on a volume."""
ARN_OF_KEY = re.compile(r"arn:[^:]+:kms:[^:]*:(?P<account>[0-9]{12}):key/.+")
MOST_COPIES = 5
"""Completed snapshots of one volume at one stop after which the next one has to wait."""
COPIED_AGAIN = timedelta(days=1)
"""How long it waits."""
DELETED_WITHIN = timedelta(days=1)
"""How long after the commit, or after the last denial, a volume that is left is deleted: that takes minutes."""
BY_HAND = "Nothing was changed; attach the others by hand."


# What must not be parked.


def not_to_be_parked(seen: Observation, volumes: Sequence[Volume], settings: Settings) -> str:
    if words := refusal(seen.instance, volumes, settings) or _by_unknown_word(seen, settings):
        return words
    for v, a in seen.attached:
        if a.device == seen.instance.root_device and (why := why_it_stays(v, seen, settings)):
            return f"Its root volume {v.id} has to stay attached, because {why}."
    return dearer(volumes, settings)


def hidden_volumes(seen: Observation) -> str:
    """Says if a service hides a volume that it manages: nobody sees then what is attached."""
    there = {v.id for v, _ in seen.attached}
    hidden = [m for m in seen.instance.mappings if m.managed_by and m.volume_id not in there]
    each = ", ".join(f"{m.volume_id} at {m.device}, which is managed by {m.managed_by}" for m in hidden)
    return f"EC2 does not show all of its volumes: {each}. Let the account see managed resources." if hidden else ""


def misspelt_opt_in(i: Instance, settings: Settings) -> str:
    """Says if the opt-in tag of an instance says neither yes nor no."""
    key, word = settings.opt_in_tag_key, tags.opt_in_word(i.tags, settings)
    if tags.opted_in(i.tags, settings) or word in (None, "", *tags.NO):
        return ""
    words = f"{i.id} is tagged {key}={i.tags[key]!r}, which opts nothing in"
    park = f"{key}={tags.OPT_IN_ALL} to park every volume, {key}={tags.OPT_IN_ROOT} to park its root volume only"
    return f"{words}: tag it {park}, or {key}={tags.LEAVE_ATTACHED} to leave it alone."


def refusal(instance: Instance, volumes: Iterable[Volume], settings: Settings) -> str:
    """Why this instance must not be parked because of its kind, its stop or its volumes."""
    of_instance = _by_kind_and_place(instance) or _by_product(instance, settings) or _by_owner(instance)
    of_volume = (_of_volume(v, settings) or _by_key(v, instance, settings) for v in volumes)
    return of_instance or _by_stop(instance) or next((words for words in of_volume if words), "")


def dearer(volumes: Iterable[Volume], settings: Settings) -> str:
    """Why these volumes would cost too much as snapshots, with the figures.
    Only a finished snapshot shows how much is written, and it costs money too, so every block counts. If a price is
    unknown, nothing is refused."""
    every = list(volumes)
    before = [volume_price(settings.prices, v.spec) for v in every]
    after = [snapshot_price(settings.prices, v.spec.size * GIB) for v in every]
    costs = [(v, b, a) for v, b, a in zip(every, before, after, strict=True) if b is not None and a is not None]
    volumes_cost, snapshots_cost = sum(b for _, b, _ in costs), sum(a for _, _, a in costs)
    if settings.park_even_if_dearer or len(costs) < len(every) or snapshots_cost <= volumes_cost:
        return ""
    cheap = ", ".join(f"{v.id} ({v.spec.size} GiB {v.spec.type})" for v, b, a in costs if a > b)
    return (
        f"Its volumes cost {volumes_cost:.2f} USD a month, but as snapshots up to {snapshots_cost:.2f} USD, because of "
        f"{cheap}. Tag that volume {settings.opt_in_tag_key}={LEAVE_ATTACHED} to leave it attached, or set "
        "park_even_if_dearer if little is written on it."
    )


def _by_kind_and_place(i: Instance) -> str:
    if i.lifecycle == "spot":
        return "It is a Spot Instance, which EC2 terminates when its root volume is detached."
    if i.lifecycle and i.lifecycle != "scheduled":
        return f"Its lifecycle is {i.lifecycle}, for which detaching the root volume is not supported."
    if i.hibernation:
        return "Hibernation is enabled for it, and its root volume holds the hibernated memory."
    if i.root_device_type != "ebs":
        return f"Its root device is of the type {i.root_device_type}, not ebs: it cannot be stopped and started."
    if i.outpost_arn or not REGION_ZONE.fullmatch(i.zone):
        return f"It runs in {i.outpost_arn or i.zone}: Outposts, Local Zones and Wavelength Zones are not supported."
    return ""


def _by_product(i: Instance, settings: Settings) -> str:
    for code in i.product_codes:
        if code not in settings.allowed_product_codes:
            words = f"It has the Marketplace product code {code}, and its volumes may never attach again."
            remedy = "If you have tested that volumes of this product do, add the code to allowed_product_codes."
            return f"{words} {remedy}"
    return ""


def _by_owner(i: Instance) -> str:
    if "aws:autoscaling:groupName" in i.tags:
        return f"It belongs to the Auto Scaling group {i.tags['aws:autoscaling:groupName']}, which replaces it."
    if "aws:ec2:fleet-id" in i.tags or "aws:ec2spot:fleet-request-id" in i.tags:
        return "It belongs to an EC2 Fleet, which replaces it."
    if i.managed_by:
        return f"It is managed by {i.managed_by}, and nothing else may change it."
    return ""


def _by_stop(i: Instance) -> str:
    if stopped_on_purpose(i):
        return ""
    return f"It stopped because of {i.state_reason}, not because of a request: start it to see what is wrong."


def _by_unknown_word(seen: Observation, settings: Settings) -> str:
    """Somebody who tags a volume wants something of us: a word that we do not know protects the whole instance."""
    key = settings.opt_in_tag_key
    words = ((v, tags.opt_in_word(v.tags, settings)) for v, _ in seen.attached)
    unknown = [f"{v.id} is tagged {key}={v.tags[key]!r}" for v, word in words if word not in (None, *ON_A_VOLUME)]
    known = f"{' or '.join(tags.OPTED_IN)} to park the volume, {', '.join(tags.NO)} to leave it attached"
    return f"Its volume {', '.join(unknown)}, a value that ParkVolumes does not know. Use {known}." if unknown else ""


def _of_volume(v: Volume, settings: Settings) -> str:
    if v.multi_attach or len(v.attachments) > 1:
        return f"Its volume {v.id} can be shared by several instances (Multi-Attach)."
    most = tags.most_owner_tags(settings)
    if len(tags.owner_tags(v.tags)) > most:
        words = f"Its volume {v.id} has more than {most} tags"
        return f"{words}, too many for a snapshot that also has those of ParkVolumes."
    return ""


def _by_key(v: Volume, i: Instance, settings: Settings) -> str:
    """A key of the same account may be the one that AWS manages, which needs no permission. One of another account
    needs one. Every key is tried before anything is given up."""
    key = v.spec.kms_key
    arn = ARN_OF_KEY.fullmatch(key)
    if arn is None or arn["account"] == i.owner or key in settings.kms_key_arns:
        return ""
    words = f"Its volume {v.id} is encrypted with {key} of another account, which the start role may not use"
    return f"{words}. Add the key to kms_key_arns, and let its key policy allow the start role."


# What prevents the originals from being put back.


def put_back_obstacle(seen: Observation, root: VolumeInTransit) -> str:
    """Says if a volume is not where our passes left it, and somebody has to move it first."""
    if words := lent(seen, seen.originals_of(root.mark.generation)):
        return words
    attached = [(v, v.attachment.device) for v in seen.in_transit if v.attachment and v.moved]
    if moved := [f"{v.id} at {at} instead of {v.target.device}" for v, at in attached]:
        return f"{seen.instance.id} has {', '.join(moved)}: detach it and try again."
    return device_taken(seen)


def lent(seen: Observation, volumes: Iterable[VolumeInTransit]) -> str:
    """Says if one of these volumes is attached to another instance."""
    ids = ", ".join(v.id for v in volumes if v.elsewhere)
    return f"Another instance has {ids} of {seen.instance.id}: detach it there and try again." if ids else ""


def device_taken(seen: Observation) -> str:
    """Says if a volume of the owner is attached at the device of a free volume in transit."""
    for v in seen.in_transit:
        there = seen.instance.on(v.target.device)
        if v.attachment is None and there and there.volume_id != v.id and not v.elsewhere:
            return (
                f"The device {v.target.device} of {seen.instance.id} is taken by {there.volume_id}, while its "
                f"own volume {v.id} is free. Detach {there.volume_id}, or remove the tag {tags.MARK} from {v.id}."
            )
    return ""


def parked_beside_another_root(seen: Observation) -> str:
    """Says if somebody has attached another root volume to a parked instance, whose other volumes are still parked."""
    generation, i = seen.complete_generation, seen.instance
    if generation is None:
        return ""
    there = {each for v, _ in seen.attached for each in (v.id, v.snapshot_id)}
    parked = {r.device: r.snapshot_id for r in generation.parts if not there & {r.volume_id, r.snapshot_id}}
    others = ", ".join(snapshot_id for device, snapshot_id in parked.items() if i.on(device) is None)
    if i.root_device not in parked or not others:
        return ""
    root = next((v.id for v, a in seen.attached if a.device == i.root_device), i.root_device)
    return (
        f"{i.id} has another root volume ({root}) than the one that was parked, and its other volumes are still parked "
        f"({others}). Detach {root}, and a start brings all of them back. If you want to keep it, make volumes from "
        "these snapshots by hand, or start the instance in the console without them."
    )


def ever_changing(seen: Observation, volume_ids: Iterable[str], now: datetime) -> str:
    """Says if snapshots were taken of one of these volumes again and again, and none said what it is for long enough.
    One more is taken every day."""
    for volume_id in volume_ids:
        taken = [r for r in seen.of_this_stop if r.volume_id == volume_id and r.state == "completed"]
        if len(taken) >= MOST_COPIES and now < max(r.started for r in taken) + COPIED_AGAIN:
            return (
                f"{len(taken)} snapshots of {volume_id} were taken at this stop, and none of them says what the volume "
                "is: something changes the volume, its tags or the tags of its snapshots again and again. CloudTrail "
                "says who (CreateTags, DeleteTags, ModifyVolume). ParkVolumes tries again once a day."
            )
    return ""


def missing_originals(seen: Observation, root: VolumeInTransit) -> str:
    """The beginning of a sentence if some originals cannot be put back with the others."""
    generation = root.mark.generation
    there = {v.id for v in seen.originals_of(generation)} | {v.id for v, _ in seen.attached}
    lost = sorted({r.volume_id for r in seen.records if r.generation == generation} - there)
    words = f"{seen.instance.id} lacks original volumes ({', '.join(lost)}), which are gone or have lost their mark"
    return words if lost else ""


# What prevents volumes from being restored.


def unmarked_originals(seen: Observation) -> str:
    """Says if an original exists that must not be deleted, because it has no mark of its attempt."""
    marked = {v.id for v in seen.originals_of(seen.given_up.name)}
    unmarked = [v.id for v in seen.left_of(seen.given_up) if v.id not in marked and v.state != "deleting"]
    if not unmarked:
        return ""
    words = f"{', '.join(unmarked)} of {seen.instance.id} still exists, and has no mark that allows replacing it"
    return f"{words}. Nothing was changed; attach it again, or delete it, and try again."


def foreign_originals(seen: Observation) -> str:
    """Says if original volumes are left, and none of them belongs to the generation that was given up last.
    Once a whole generation is given up, volumes of another attempt that are still attached do not count: they stay."""
    name = seen.generation.name if seen.generation else ""
    whole = seen.complete_generation is not None
    left = [v for v in seen.originals if not whole or v.attachment is None or v.mark.generation == name]
    if not left or any(v.mark.generation == name for v in left):
        return ""
    return (
        f"{seen.instance.id} has no root volume, and its snapshots do not say that it was parked. Nothing was changed; "
        f"attach its root volume at {seen.instance.root_device}, and try again."
    )


def deletion_denied(seen: Observation, now: datetime) -> str:
    """Says if the park side was denied to delete what is left; it writes that down, and tries again all the time."""
    verdicts = ((v.record, v.record.verdict) for v in seen.originals_of(seen.given_up.name))
    words = next((in_words(verdict, r) for r, verdict in verdicts if is_denied(verdict, now)), "")
    return f"{words} The root volume is safe as a snapshot; the start continues once that is allowed." if words else ""


def left_too_long(seen: Observation, volumes: Iterable[VolumeInTransit], now: datetime) -> str:
    """Says if one of these volumes should have been deleted long ago. Nothing tells it from one that was deleted, that
    somebody has restored from the Recycle Bin, and that has been written to since."""
    generation = seen.given_up
    denials = (r.verdict.at for r in generation.parts if r.verdict and r.verdict.denied)
    due = max([generation.confirmed_at, *denials]) + DELETED_WITHIN
    ids = ", ".join(v.id for v in volumes if v.state != "deleting")
    if not ids or now < due:
        return ""
    return (
        f"{ids} of {seen.instance.id} should have been deleted by {due:%Y-%m-%d %H:%M} UTC. Perhaps somebody has "
        "restored it from the Recycle Bin, and it holds more than its snapshot: so ParkVolumes does not delete it. "
        "Delete it if nobody needs it; the instance can then be started."
    )


def nothing_whole(seen: Observation) -> str:
    """Why a broken instance cannot be restored, and how to get back what is missing."""
    instance, generation = seen.instance, seen.generation
    if words := foreign_originals(seen) or parked_elsewhere(seen):
        return words
    if generation:
        words = f"Snapshots of {instance.id} are missing: {', '.join(generation.missing)}. Nothing was changed. "
        words += _recycle_bin(instance.id)
    elif seen.records:
        ids = ", ".join(sorted(r.snapshot_id for r in seen.records))
        words = f"{instance.id} has no root volume, and its snapshots ({ids}) are not those of its last stop. "
        words += "Nothing was changed; create a volume from the snapshot that you want and attach it by hand."
    else:
        words = f"{instance.id} has no root volume and no snapshots of ParkVolumes to create one from. "
        words += _recycle_bin(instance.id)
    return " ".join(words for words in (words, *_marked_without_proof(seen), seen.damage) if words)


def parked_elsewhere(seen: Observation) -> str:
    """Says if another deployment has parked it, which may be this one before somebody gave it another name."""
    if not seen.parked_by:
        return ""
    names = ", ".join(seen.parked_by)
    return (
        f"{seen.instance.id} has no root volume, because the deployment {names} has parked it. Start it there. If "
        f"{names} is what this deployment was called before, add that name to previous_names, apply, and try again."
    )


def _marked_without_proof(seen: Observation) -> Iterator[str]:
    """A sentence about volumes that nothing but their mark connects with the instance."""
    if ids := ", ".join(v.id for v in seen.unproven):
        yield f"{ids} bears its mark, but no snapshot proves that it belongs there: attach it by hand if it does."


def _recycle_bin(instance_id: str) -> str:
    """How to get back a deleted snapshot; the bin shows descriptions, and keeps tags."""
    return (
        f"Look in the Recycle Bin (aws ec2 list-snapshots-in-recycle-bin) for those described as ParkVolumes: ... of "
        f"{instance_id}, restore them (aws ec2 restore-snapshot-from-recycle-bin --snapshot-id ...), and try again."
    )


def restore_obstacle(seen: Observation) -> str:
    """Says if a part is from another zone, or another volume is at its device.
    Such a volume can be an empty one that Terraform created while the instance was parked."""
    return next((words for r in seen.given_up.parts if (words := _part_obstacle(seen, r))), "")


def _part_obstacle(seen: Observation, r: SnapshotRecord) -> str:
    instance = seen.instance
    if r.spec.zone != instance.zone:
        return f"{r.snapshot_id} is from a volume in {r.spec.zone}, but {instance.id} is in {instance.zone}."
    for v, a in seen.attached:
        if v.snapshot_id == r.snapshot_id and a.device != r.device:
            return (
                f"{v.id}, created from {r.snapshot_id}, is attached to {instance.id} at {a.device} instead of "
                f"{r.device}. Nothing was changed; attach it where it belongs, or delete it, and try again."
            )
    made_from = {v.id: v.snapshot_id for v in seen.volumes}
    there = instance.on(r.device)
    if there and made_from.get(there.volume_id) != r.snapshot_id:
        return (
            f"The device {r.device} of {instance.id} is taken by {there.volume_id}, which was not created from "
            f"{r.snapshot_id}. Nothing was changed; detach that volume (aws ec2 detach-volume --volume-id "
            f"{there.volume_id}) and try again."
        )
    return ""


# What a deployment that only observes would do.


def apply_observe_only(decision: Decision, seen: Observation, settings: Settings) -> Decision:
    """The decision as a deployment with ``observe_only`` carries it out: without its steps."""
    if not settings.observe_only or not decision.steps:
        return decision
    words = f"Nothing was changed, because observe_only is set. Otherwise: {decision.reason}"
    reason = words + _would_save(decision, seen, settings)
    return replace(decision, reason=reason, outcome=Outcome.OBSERVED, steps=(), look_again=None)


def _would_save(decision: Decision, seen: Observation, settings: Settings) -> str:
    """A sentence if the decision begins to park the instance and prices are known; otherwise empty."""
    if not any(isinstance(step, CreateSnapshot) for step in decision.every_step):
        return ""
    parked = tuple(v for v, _ in volumes_to_park(seen, settings))
    costs = savings(replace(seen, volumes=parked), settings.prices)
    if costs.as_volumes is None or costs.as_snapshots is None:
        return ""
    least = "at least " if costs.at_most else ""
    return f" Parked, it would save {least}{costs.as_volumes - costs.as_snapshots:.2f} USD a month."
