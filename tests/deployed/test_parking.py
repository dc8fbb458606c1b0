"""What becomes of a stopped instance, and of one that must not be touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from park_volumes.core.tags import owner_tags
from tests.deployed.stops import STAYING, Stops
from tests.support.fleet import differences
from tests.support.url import FunctionUrl

PARKED = ["shop", "guest", "excluded", "unheard", "doubled"]
UNTOUCHED = ["stranger", "refuser", "misspelt"]


def _devices_with_snapshots(stops: Stops, name: str) -> set[str]:
    return {_tag(s["Tags"], "park-volumes:device") for s in stops.fleet.snapshots(stops.ids[name])}


def _tag(tags: Iterable[dict[str, str]], key: str) -> str:
    return next(t["Value"] for t in tags if t["Key"] == key)


@pytest.mark.parametrize("name", PARKED)
def test_of_a_stopped_instance_only_the_snapshots_of_its_volumes_are_left(stopped: Stops, name: str) -> None:
    kept = STAYING if name == "excluded" else set()
    assert stopped.fleet.picture(stopped.ids[name]).keys() == kept
    assert _devices_with_snapshots(stopped, name) == stopped.before[name].keys() - kept
    assert stopped.fleet.state(stopped.ids[name]) == "stopped"


def test_snapshots_hold_what_the_volumes_held(stopped: Stops) -> None:
    for snapshot in stopped.fleet.snapshots(stopped.ids["shop"]):
        device = _tag(snapshot["Tags"], "park-volumes:device")
        assert stopped.aws.fingerprint(snapshot["SnapshotId"]) == stopped.before["shop"][device].content


def test_snapshots_carry_the_tags_of_their_volumes(stopped: Stops) -> None:
    for snapshot in stopped.fleet.snapshots(stopped.ids["shop"]):
        tags = {t["Key"]: t["Value"] for t in snapshot["Tags"]}
        before = stopped.before["shop"][tags["park-volumes:device"]].tags
        assert {key: value for key, value in tags.items() if not key.startswith("park-volumes:")} == before


def test_the_only_copy_is_locked_against_deletion(stopped: Stops) -> None:
    ids = {s["SnapshotId"] for s in stopped.fleet.snapshots(stopped.ids["shop"])}
    locked = stopped.fleet.ec2.describe_locked_snapshots(SnapshotIds=sorted(ids))["Snapshots"]
    assert {s["SnapshotId"] for s in locked if s["LockState"] == "governance"} == ids


def test_the_root_volume_goes_first_and_the_others_only_after_it_is_deleted(stopped: Stops) -> None:
    by_device = {d: v for v in stopped.volumes_before["shop"] for d in [_device_of(stopped, v)]}
    root, others = by_device.pop("/dev/sda1"), set(by_device.values())
    calls = [c for c in stopped.aws.calls() if c["operation"] in ("DetachVolume", "DeleteVolume") and not c["error"]]
    ours = [(c["operation"], v) for c in calls for v in c["resources"] if v == root or v in others]
    assert ours[:2] == [("DetachVolume", root), ("DeleteVolume", root)]
    assert {v for operation, v in ours[2:] if operation == "DeleteVolume"} == others


def _device_of(stops: Stops, volume_id: str) -> str:
    detached = next(c for c in stops.aws.calls() if c["operation"] == "DetachVolume" and volume_id in c["resources"])
    return str(detached["parameters"]["Device"])


def test_root_mode_parks_the_root_volume_alone(stopped: Stops) -> None:
    assert stopped.fleet.picture(stopped.ids["root only"]) == {"/dev/sdf": stopped.before["root only"]["/dev/sdf"]}
    assert _devices_with_snapshots(stopped, "root only") == {"/dev/sda1"}


def test_volumes_that_are_not_to_be_parked_stay_attached_as_they_are(stopped: Stops, url: FunctionUrl) -> None:
    before = {device: picture for device, picture in stopped.before["excluded"].items() if device in STAYING}
    assert stopped.fleet.picture(stopped.ids["excluded"]) == before
    assert "because Kubernetes knows it by its id" in stopped.show(url, "excluded")["detail"]


@pytest.mark.parametrize("name", UNTOUCHED)
def test_an_instance_that_is_not_opted_in_is_never_touched(stopped: Stops, name: str) -> None:
    assert differences(stopped.before[name], stopped.fleet.picture(stopped.ids[name])) == []
    mine = {stopped.ids[name], *stopped.volumes_before[name]}
    by_functions = [c for c in stopped.aws.calls() if c["role"] and not c["operation"].startswith(("Describe", "List"))]
    assert by_functions
    assert not [c for c in by_functions if mine & c["resources"].keys()]


def test_no_instance_ever_gets_a_tag(stopped: Stops) -> None:
    tagged = [c for c in stopped.aws.calls() if c["role"] and c["operation"] in ("CreateTags", "DeleteTags")]
    assert tagged
    assert not [r for c in tagged for r in c["parameters"]["Resources"] if r.startswith("i-")]


def test_a_stop_of_which_no_event_came_is_found_by_the_sweep(stopped: Stops) -> None:
    instance_id = stopped.ids["unheard"]
    events = [e for e in stopped.aws.events() if e["event"]["detail"].get("instance-id") == instance_id]
    assert {e["event"]["detail"]["state"] for e in events if e["delivered"]}.isdisjoint({"stopped"})
    assert stopped.fleet.volume_ids(instance_id) == []


def test_doubled_events_make_no_second_snapshots_that_count(stopped: Stops) -> None:
    assert _devices_with_snapshots(stopped, "doubled") == stopped.before["doubled"].keys()
    assert stopped.fleet.volume_ids(stopped.ids["doubled"]) == []


def test_a_failed_snapshot_leaves_the_instance_as_it_was(stopped: Stops) -> None:
    assert differences(stopped.before["unlucky"], stopped.fleet.picture(stopped.ids["unlucky"])) == []
    (failed,) = stopped.fleet.snapshots(stopped.ids["unlucky"])
    assert failed["State"] == "error"


def test_a_failed_snapshot_is_told_with_what_happens_next(stopped: Stops, url: FunctionUrl) -> None:
    assert "retried in a few minutes" in stopped.show(url, "unlucky")["detail"]


def test_an_instance_that_must_not_be_parked_is_refused_with_the_reason(stopped: Stops, url: FunctionUrl) -> None:
    assert differences(stopped.before["spot"], stopped.fleet.picture(stopped.ids["spot"])) == []
    assert stopped.fleet.snapshots(stopped.ids["spot"]) == []
    assert "Spot Instance" in stopped.show(url, "spot")["detail"]


def test_an_instance_of_which_a_volume_may_not_be_deleted_keeps_all_of_them(stopped: Stops, url: FunctionUrl) -> None:
    told = stopped.show(url, "guarded")

    picture = stopped.fleet.picture(stopped.ids["guarded"])
    data = stopped.fleet.volume_on(stopped.ids["guarded"], "/dev/sdf")
    without_marks = {device: replace(p, tags=owner_tags(p.tags)) for device, p in picture.items()}
    assert differences(stopped.before["guarded"], without_marks) == []
    assert told["state"] == "stopped"
    assert "DeleteVolume is denied" in told["detail"]
    assert data in told["detail"]
    assert "not authorized to perform" in told["detail"]


def test_an_instance_that_runs_is_left_alone(stopped: Stops) -> None:
    assert differences(stopped.before["running"], stopped.fleet.picture(stopped.ids["running"])) == []


def test_a_start_during_the_lock_puts_the_very_same_volumes_back(stopped: Stops) -> None:
    assert stopped.put_back is not None
    assert stopped.put_back.status == 202
    assert stopped.fleet.state(stopped.ids["regret"]) == "running"
    assert stopped.fleet.volume_ids(stopped.ids["regret"]) == stopped.volumes_before["regret"]


def test_volumes_put_back_are_attached_as_they_were(stopped: Stops) -> None:
    stopped.wait_until_settled("regret")
    after = stopped.fleet.picture(stopped.ids["regret"])
    assert differences(stopped.before["regret"], after) == []
