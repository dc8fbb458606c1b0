"""What the explorer found on its way, mended in the product and kept: the schedule, by the name of what it taught."""

from collections.abc import Mapping

from tests.explore.walks import Deed, Story
from tests.model.faults import Lag

LAGGING = Lag(60.0, seed=1)
LAGGING_MORE = Lag(60.0, seed=5139)


def story(shape: str, moment: str, *deeds: str, lag: Lag | None = None, **aws: bool | int) -> Story:
    """Deeds as they are printed: "begin park", "go a 6", "wait 3700", "person detaches 0". ``aws``: which of the two
    AWS is."""
    told = tuple(map(_deed, deeds))
    return Story(shape=shape, moment=moment, lag=lag, deeds=told, seed=0, aws=tuple(aws.items()))


def _deed(text: str) -> Deed:
    verb, _, rest = text.partition(" ")
    words = rest.split(" ")
    number = float(words.pop()) if words[-1].replace(".", "").isdigit() else 0.0
    return Deed(verb, " ".join(words), number)


STORIES: Mapping[str, Story] = {
    "a volume that was changed while it is being deleted is not copied again, and is told of": story(
        "two volumes",
        "committed",
        "wait 61",
        "person retags a volume 10",
        "begin sweep of park 0",
        "finish c 0",
        "person waits for EC2 in vain 6",
        lag=Lag(60.0, seed=50599272),
    ),
    "a root volume comes back though somebody started with the one that was to try its key": story(
        "two encrypted volumes, slowly",
        "tried",
        "begin start 0",
        "go c 4",
        "person detaches 8",
        "person attaches 9",
        "go b 3",
        "wait 1",
        "person detaches 3",
    ),
    "a snapshot that a pass unlocked and could not delete before it died is locked again a day later": story(
        "two volumes",
        "superseded",
        "person registers an image 9",
        "begin sweep of park 0",
        "finish b 0",
        "begin park 0",
        "go c 14",
        lag=Lag(60.0, seed=50610929),
    ),
    "a volume that somebody attaches to a parked instance with a word that nobody understands is left alone": story(
        "one volume", "parked", "person attaches another 11", "person tags a volume 7"
    ),
    "a snapshot from which a volume still loads is kept": story("one volume", "parked again", "begin start", "go c 7"),
    "locks are read though AWS refuses the id of a snapshot that is not locked": story(
        "one volume", "half restored", "person waits for EC2 in vain 8", unlocked_ids_refused=True
    ),
    "a tag that counts only seconds later denies nothing for good": story(
        "one volume", "half restored", "person waits for EC2 in vain 8", tags_count_after=8
    ),
    "a volume comes back on its card though AWS seldom tells the card": story("four volumes", "tried", sparse=True),
    "that an instance was terminated is written on its snapshots though it was being restored": story(
        "one volume", "half restored", "person terminates"
    ),
    "a volume with a word that nobody understands is left alone, and the instance with it": story(
        "two volumes",
        "running",
        "person tags a volume 9",
        "wait 61",
        "person stops",
        "wait 185",
        "begin park",
        "finish a",
    ),
    "a start that finds no room is tried again, less and less often, until there is some": story(
        "two volumes", "parked", "short HOST_FULL 2700", "begin start", "finish a"
    ),
    "a start that is taken back for want of room is tried again, less and less often, until there is some": story(
        "one volume", "parked", "short START_FINDS_NO_HOST 2700", "begin start", "finish a"
    ),
    "a start without room that nobody tries again for hours is refused in words": story(
        "one volume",
        "tried",
        "person waits for EC2 in vain 10",
        "begin start",
        "short START_FINDS_NO_HOST 700",
        "go a 6",
    ),
    "a start for which there is room at the end of its hour is made": story(
        "one volume", "parked", "short RESERVATION_FULL 2900", "begin start", "finish a"
    ),
    "a restoration that nobody wants any more is finished all the same": story("two volumes", "rootless", "wait 3700"),
    "a start that was asked for goes on though its pass died": story(
        "two volumes", "parked", "begin start", "go a 6", "die a"
    ),
    "a start that dies between its attachments leaves no instance that starts without a volume": story(
        "two volumes", "parked", "begin start", "go a 20", "die a", "wait 5", "person starts", "wait 30"
    ),
    "passes that overtake each other leave nothing behind": story(
        "one volume",
        "stopped",
        "begin park",
        "go a 8",
        "person starts",
        "wait 2",
        "person stops",
        "wait 3",
        "begin park",
        "finish b",
        "wait 1",
        "finish a",
    ),
    "a root volume of somebody else does not supersede the one that is parked": story(
        "one volume", "parked", "person attaches another 2"
    ),
    "a root volume that finds another in its place is not forced on anybody": story(
        "one volume", "rootless", "person attaches another 2"
    ),
    "a data volume that finds another in its place is not forced on anybody": story(
        "two volumes",
        "just locked",
        "person detaches 0",
        "wait 1",
        "person attaches another 0",
        "wait 1",
        "begin start",
        "finish a",
    ),
    "a restoration does not push another volume aside": story(
        "two volumes", "half restored", "person attaches another 0"
    ),
    "nothing is attached to a running instance": story("two volumes", "started", "person detaches 0"),
    "a volume that its owner takes off and stops on is the owner's": story(
        "two volumes", "started", "person detaches 0", "person stops"
    ),
    "a root volume that left by another hand is not given up": story(
        "one volume",
        "tried",
        "begin park",
        "go a 8",
        "person detaches 0",
        "wait 1",
        "person lends 0",
        "wait 1",
        "finish a",
    ),
    "a root volume that left and came back is not given up": story(
        "one volume",
        "tried",
        "begin park",
        "go a 8",
        "person detaches 0",
        "wait 1",
        "person lends 0",
        "wait 1",
        "person attaches 8",
        "wait 1",
        "finish a",
    ),
    "a root volume that left while its way back is not tried needs another snapshot": story(
        "one volume",
        "copied",
        "begin park",
        "go a 10",
        "person detaches 0",
        "wait 1",
        "person lends 0",
        "wait 1",
        "person attaches 8",
        "wait 1",
        "finish a",
    ),
    "a volume in error that the park side is deleting is replaced without a complaint": story(
        "one volume",
        "parked",
        "begin start",
        "fault VOLUME_FAILS",
        "finish a",
        lag=Lag(60.0, seed=10008660, share=20),
    ),
    "two passes that meet a dead volume make one new one": story(
        "one volume",
        "parked",
        "begin start",
        "fault VOLUME_FAILS",
        "finish a",
        "wait 5",
        "begin start",
        "go a 6",
        "begin start",
        "finish b",
        "finish a",
    ),
    "a root volume that its owner attached as another disk is not waited for": story(
        "one volume",
        "copied",
        "person detaches 0",
        "wait 1",
        "person attaches 7",
        "begin park",
        "go c 10",
        lag=Lag(60.0, seed=30011497, share=100),
    ),
    "a root volume that left before it was marked is not waited for": story(
        "two volumes", "copied", "begin park", "go a 8", "person detaches 0", "go a 3"
    ),
    "a data volume that left and came back is not given up": story(
        "two volumes",
        "tried",
        "begin park",
        "finish a",
        "wait 400",
        "begin park",
        "go a 9",
        "person detaches 1",
        "wait 1",
        "person lends 0",
        "wait 1",
        "person attaches 0",
        "wait 1",
        "finish a",
    ),
    "a data volume that left and stayed away is not given up": story(
        "two volumes",
        "tried",
        "begin park",
        "finish a",
        "wait 400",
        "begin park",
        "go a 9",
        "person detaches 1",
        "wait 1",
        "person lends 0",
        "wait 1",
        "finish a",
    ),
    "a root volume that came back changed needs another snapshot": story(
        "one volume",
        "stopped",
        "begin park",
        "finish a",
        "wait 20",
        "person detaches 0",
        "wait 1",
        "person lends 0",
        "wait 1",
        "person attaches 8",
    ),
    "a pass that looked before somebody started and stopped gives nothing up": story(
        "one volume",
        "tried",
        "begin park",
        "go a 12",
        "person starts",
        "wait 2",
        "person stops",
        "wait 3",
        "go a 3",
        "wait 1",
        "finish a",
    ),
    "a pass that looked before the volumes were put back is dead before their marks go": story(
        "one volume",
        "locked",
        "begin park",
        "go a 8",
        "begin start",
        "finish b",
        "wait 2",
        "person stops",
        "wait 3",
        "begin settle",
        "finish b",
        "person detaches 0",
        "wait 1",
        "finish a",
    ),
    "a pass that looked before somebody started and stopped is dead before the next lock": story(
        "one volume",
        "tried",
        "begin park",
        "go a 8",
        "begin start",
        "finish b",
        "wait 2",
        "person stops",
        "wait 3",
        "begin settle",
        "finish b",
        "begin park",
        "finish b",
        "wait 10",
        "begin park",
        "finish b",
        "wait 1",
        "finish a",
    ),
    "a root volume that was put back, and taken off by its owner, is the owner's": story(
        "one volume",
        "just locked",
        "begin start",
        "fault NO_CAPACITY",
        "finish a",
        "wait 3700",
        "begin settle",
        "finish a",
        "person detaches 0",
        "wait 1",
        "person lends 0",
        "wait 1",
        "begin park",
        "finish a",
    ),
    "a root volume that was put back by a pass that died is settled before it is parked": story(
        "one volume",
        "copied",
        "begin park",
        "go a 11",
        "die a",
        "wait 130",
        "begin settle",
        "go a 6",
        "die a",
        "wait 125",
        "begin park",
        "finish a",
    ),
    "a chain is discarded from its far end": story(
        "one volume",
        "running again",
        "person stops",
        "wait 125",
        *("begin park", "finish a", "wait 185") * 4,
        "begin start",
        "finish a",
        "wait 400",
        "begin settle",
        "finish a",
        "wait 90000",
        "begin park",
        "go a 13",
        "die a",
    ),
    "the snapshots of an earlier stop are no substitute for a volume that its owner deleted": story(
        "one volume",
        "running again",
        "person stops",
        "wait 3",
        "person detaches 0",
        "wait 1",
        "person deletes a volume 0",
    ),
    "a late mark does not hide that DeleteOnTermination is wrong": story(
        "two volumes",
        "copied",
        "begin park",
        "go a 10",
        "begin park",
        "finish b",
        "wait 6",
        "begin start",
        "finish b",
        "person stops",
        "finish a",
        lag=LAGGING,
    ),
    "a volume being taken off is not counted as there": story(
        "two volumes", "half restored", "person attaches 0", "wait 1", "person detaches 0", "begin start", "finish a"
    ),
    "a snapshot still running when the instance starts is kept without a word": story(
        "two encrypted volumes, slowly", "stopped", "begin park", "go a 8", "person starts", "finish a"
    ),
    "an instance that is withdrawn while parked is left alone": story(
        "two volumes", "parked", "person withdraws", "wait 61", "begin park", "finish a", "begin settle", "finish a"
    ),
    "an instance that is withdrawn while stopped is left alone": story(
        "two volumes",
        "stopped",
        "person withdraws",
        "wait 61",
        "begin park",
        "finish a",
        "wait 61",
        "begin park",
        "finish a",
    ),
    "what would have died with a terminated instance is kept for a month, and what would not for ever": story(
        "two volumes",
        "parked",
        "person terminates",
        "wait 61",
        "begin sweep of park",
        "finish a",
        "wait 2591000",
        "begin sweep of park",
        "finish a",
        "wait 2000",
        "begin sweep of park",
        "finish a",
    ),
    "of an instance that nobody saw terminated everything is kept": story(
        "two volumes", "parked", "person terminates", "wait 4000", "begin sweep of park", "finish a"
    ),
    "a pass that dies while it discards what a terminated instance left is followed by another": story(
        "two volumes",
        "parked",
        "person terminates",
        "wait 61",
        "begin sweep of park",
        "go a 9",
        "die a",
        "wait 61",
        "begin sweep of park",
        "finish a",
        "wait 2592100",
        "begin sweep of park",
        "go a 8",
        "die a",
    ),
    "a volume that somebody took and deleted while its instance was being locked is named": story(
        "two volumes",
        "copied",
        "begin park",
        "go c 10",
        "person detaches 9",
        "wait 1",
        "person deletes a volume 1",
        "go c 3",
    ),
    "a volume that finds another in its place before anybody confirmed the lock is named": story(
        "an excluded volume",
        "copied",
        "begin park",
        "go c 10",
        "go b 3",
        "person detaches 9",
        "person attaches another 9",
    ),
    "a restored volume that was settled without its root volume is not made and attached again and again": story(
        "two volumes",
        "rootless",
        "person detaches 11",
        "person attaches another 8",
        "begin park",
        "wait 3700",
        "begin settle",
        "begin sweep of start",
        "go c 8",
        "wait 1",
        "begin settle",
        "go c 6",
        "person detaches 4",
    ),
    "whoever starts it while its volumes are attached meets an instance without a root volume": story(
        "two volumes", "parked", "begin start", "go a 18", *("go a 1", "wait 1", "person starts") * 4, "finish a"
    ),
    "a restored root volume that its owner put at another device is not made anew": story(
        "one volume",
        "half restored",
        "begin start",
        "go c 9",
        "wait 61",
        "go b 1",
        "wait 3700",
        "begin settle",
        "go c 7",
        "person detaches 10",
        "wait 1",
        "person attaches 0",
    ),
    "a restored volume that was settled is not made anew by who still sees the instance without it": story(
        "one volume",
        "started",
        "begin settle",
        "finish c",
        "begin start",
        "go c 6",
        "begin settle",
        "go c 4",
        "go c 8",
        "begin start",
        "go b 6",
        lag=Lag(60.0, seed=873, share=50),
    ),
    "a volume that was marked before only the root volume was opted in stays, and is in nobody's way": story(
        "two volumes",
        "copied",
        "begin park",
        "go c 9",
        "begin park",
        "go c 2",
        "die c",
        "person opts in 5",
        "finish a",
    ),
    "a request is not remembered on a snapshot that failed and is discarded": story(
        "one volume",
        "stopped",
        "begin park",
        "fault SNAPSHOT_FAILS",
        "go c 8",
        "wait 185",
        "wait 125",
        "begin start",
        "fault NO_CAPACITY",
        "go c 8",
        "begin sweep of park",
        "go c 11",
        lag=LAGGING,
    ),
    "a volume that lost its place to a late settling finds it in the snapshot that was confirmed": story(
        "one volume",
        "stopped",
        "begin sweep of park",
        "begin park",
        "finish b",
        "begin park",
        "go c 11",
        "go b 8",
        "wait 20",
        "begin park",
        "go c 10",
        lag=Lag(60.0, seed=37133348),
    ),
    "a start waits for snapshots that somebody archived": story(
        "two volumes", "parked", "person archives a snapshot 0", "wait 40", "begin start", "finish a"
    ),
    "a part that somebody discarded on purpose is missed": story(
        "two volumes", "parked", "person deletes a snapshot 0"
    ),
    "the other part that somebody discarded on purpose is missed": story(
        "two volumes", "parked", "person deletes a snapshot 3"
    ),
    "a start waits until everybody has seen the root volume that somebody attached meanwhile": story(
        "four volumes",
        "committed",
        "begin sweep of start",
        "fault SERVER_ERROR_AFTER",
        "go c 2",
        "begin start",
        "begin park",
        "person attaches another 11",
        "finish c",
        "go a 9",
        lag=Lag(60.0, seed=38131163, share=20),
    ),
    "what a restoration has begun with is not archived": story(
        "four volumes", "parked", "person archives a snapshot 6", "begin start", "go c 7", "wait 3700"
    ),
    "a root volume that its owner put back and took off again is not waited for": story(
        "two volumes",
        "locked",
        "person detaches 2",
        "person attaches 4",
        "wait 61",
        "begin settle",
        "finish a",
        "person detaches 8",
    ),
    "who starts beside a root volume of his own in the minute that we cannot see keeps the bytes of every disk": story(
        "two volumes",
        "locked",
        "person attaches another 2",
        "wait 1",
        "begin park",
        "person starts 3",
        "finish a",
        lag=Lag(60.0, seed=42377698),
    ),
    "what an instance writes on a disk that leaves as it starts beside a root volume of its owner's is kept": story(
        "two volumes",
        "locked",
        "person attaches another 5",
        "wait 1",
        "begin park",
        "go c 9",
        "go c 1",
        "person starts 11",
        "wait 2",
        "person shuts down 3",
        lag=Lag(60.0, seed=44565005),
    ),
    "a volume that is modified and tagged after its snapshot comes back as it was when it was deleted": story(
        "two volumes", "copied", "person modifies a volume 0", "person retags a volume 1"
    ),
    "a volume that is modified and tagged during the lock comes back as it was when it was deleted": story(
        "two volumes", "locked", "person modifies a volume 4", "person retags a volume 1", "begin settle", "finish a"
    ),
    "a root volume that is tagged during the lock comes back as it was when it was deleted": story(
        "one volume", "locked", "person retags a volume 1", "begin park", "finish a", "wait 185"
    ),
    "a data volume that is modified and tagged after the commit comes back as it was when it was deleted": story(
        "two volumes", "committed", "person modifies a volume 0", "wait 400", "person retags a volume 1"
    ),
    "a data volume that is changed after the commit, and changed back, comes back as it was": story(
        "two volumes",
        "committed",
        "person retags a volume 1",
        *("wait 61", "begin park", "finish a") * 3,
        "person retags a volume 4",
        *("wait 61", "begin park", "finish a") * 3,
        "person retags a volume 1",
    ),
    "a backup that bears our tags is not the copy of a volume": story(
        "one volume",
        "running",
        "person backs up 0",
        "wait 61",
        "person stops",
        "wait 125",
        "begin park",
        "finish a",
        "person copies our tags 2",
        "begin park",
        "finish a",
    ),
    "a backup that is pending is waited for": story(
        "one volume", "stopped", "person backs up 0", "begin park", "finish a", "wait 61", "person backs up 0"
    ),
    "a backup that is pending at the commit is waited for": story(
        "two encrypted volumes, slowly",
        "locked",
        "person backs up 0",
        "person backs up 1",
        "wait 61",
        "begin park",
        "finish a",
    ),
    "a backup that is pending and bears our tags is waited for": story(
        "two encrypted volumes, slowly",
        "locked",
        "person backs up 0",
        "person copies our tags 2",
        "wait 61",
        "begin park",
        "finish a",
    ),
    "a modification that is not finished is waited for before its volume is deleted": story(
        "two volumes",
        "committed",
        "person modifies a volume 0",
        *("wait 20", "begin park", "finish a") * 2,
        "wait 185",
        "begin park",
        "finish a",
    ),
    "what a cleaner writes on a parked snapshot never reaches a volume": story(
        "two volumes", "parked", "person tags a snapshot 1", "person tags a snapshot 2"
    ),
    "a record that somebody changes just before a pass that has not seen it commits is missed": story(
        "two volumes",
        "locked",
        "begin park",
        "person forges a record 8",
        "finish b",
        lag=Lag(60.0, seed=34694, share=100),
    ),
    "a snapshot that failed beside one that is completed holds nobody up": story(
        "one volume",
        "stopped",
        "begin park",
        "begin park",
        "fault SNAPSHOT_FAILS",
        "go c 8",
        "finish c",
        lag=Lag(60.0, seed=505077, share=100),
    ),
    "no key is tried with a snapshot that somebody has archived": story(
        "four volumes", "asked", "person detaches 3", "person archives a snapshot 4"
    ),
    "the volume that tried a key is not the one that its owner took off": story(
        "two volumes", "tried", "person detaches 9", "person attaches 7"
    ),
    "a failed snapshot that somebody shares is kept without a lock": story(
        "one volume", "stopped", "begin park", "fault SNAPSHOT_FAILS", "finish c", "person shares a snapshot 6"
    ),
    "a try without room that its pass had no time to write down is made again by the next sweep": story(
        "one volume",
        "half restored",
        "short RESERVATION_FULL 2700",
        "wait 246",
        "begin settle",
        "go c 17",
    ),
    "a start of an instance without snapshots that EC2 takes back is remembered nowhere": story(
        "one volume", "stopped", "short START_FINDS_NO_CAPACITY 2700", "begin start", "go c 6"
    ),
    "the snapshot of a volume that stays is superseded while only the root volume is parked": story(
        "two volumes", "superseded", "person stops", "person opts in 11"
    ),
    "a word that protects a volume is too late after the commit": story(
        "two volumes",
        "locked",
        "person tags a volume 10",
        "begin park",
        "go c 9",
        lag=Lag(60.0, seed=505528, share=100),
    ),
    "a record that somebody changed is none": story("two volumes", "parked", "person forges a record 0"),
    "a record that somebody wrote on a snapshot of another volume is none": story(
        "two volumes", "parked", "person backs up 0", "person forges a record 5"
    ),
    "a foreign volume with a mark and a place is left alone": story(
        "two volumes", "parked", "person forges a mark 2", "begin start", "finish a"
    ),
    "a foreign volume with a mark and a place is left alone while the volumes are put back": story(
        "two volumes", "locked", "person forges a mark 2", "person forges a mark 0", "begin start", "finish a"
    ),
    "a mark that nobody of us wrote comes off again": story(
        "two volumes", "running again", "person forges a mark 3", "person forges a mark 10"
    ),
    "a mark of the future comes off again": story("one volume", "running again", "person forges a mark 7"),
    "a place that somebody wrote on a volume is not followed": story(
        "two volumes",
        "locked",
        "person detaches 0",
        "wait 1",
        "person forges a place 1",
        "begin start",
        "finish a",
    ),
    "a snapshot that an image uses, and one that is shared, stay locked, and the others go": story(
        "two volumes", "superseded", "person registers an image 0", "begin sweep of park", "finish a"
    ),
    "a snapshot that is shared stays, and the others go": story(
        "two volumes", "superseded", "person shares a snapshot 1", "begin sweep of park", "finish a"
    ),
    "a snapshot with a lock that nobody can take off stays, and the others go": story(
        "two volumes", "superseded", "person locks a snapshot for good 0"
    ),
    "what an earlier stop left is discarded while parked": story("two volumes", "parked again", "wait 400"),
    "what an image uses of an earlier stop stays while parked": story(
        "two volumes", "parked again", "person registers an image 0", "person shares a snapshot 3"
    ),
    "a snapshot that does not go on is told": story(
        "two volumes", "stopped", "begin park", "finish a", "person waits for EC2 in vain 0"
    ),
    "a root volume that does not leave is told": story(
        "one volume", "tried", "person waits for EC2 in vain 0", "begin park", "finish a"
    ),
    "a modification that does not end during the lock is told": story(
        "two volumes", "locked", "person modifies a volume 0", *(f"person waits for EC2 in vain {n}" for n in range(2))
    ),
    "a data volume that does not leave is told": story(
        "two volumes", "committed", "person waits for EC2 in vain 0", "begin park", "finish a"
    ),
    "a volume that stays in creation is told": story(
        "two volumes",
        "parked",
        "begin start",
        "go a 8",
        *(f"person waits for EC2 in vain {n}" for n in range(2)),
        "die a",
    ),
    "an end that somebody wrote on a volume is not followed": story(
        "two volumes", "locked", "person forges a place 0", "person forges a place 1", "begin start", "finish a"
    ),
    "an end that somebody wrote on a root volume is not followed when that is put back": story(
        "one volume", "locked", "person forges a place 3", "begin start", "finish a"
    ),
    "a flag that its owner switches after the mark stays as it is": story(
        "two volumes", "tried", "person switches a flag 0", "person switches a flag 1", "begin start", "finish a"
    ),
    "a flag that its owner switches during the lock comes back as it is": story(
        "two volumes", "locked", "person switches a flag 0"
    ),
    "a volume that its owner takes off, and that EC2 does not let go, is written on": story(
        "two volumes", "started", "person waits for EC2 in vain 0", "person detaches 0"
    ),
    "a volume that tried a key is deleted though somebody has had it attached": story(
        "two volumes", "tried", "person attaches 7", "wait 1", "person detaches 11"
    ),
    "a start that found no room, and that no sweep tried again within its hour, is refused in words": story(
        "one volume",
        "copied",
        "begin start",
        "short START_FINDS_NO_HOST 2700",
        "go c 7",
        "wait 3700",
    ),
    "a volume that stays, and that EC2 does not finish modifying, holds nobody up": story(
        "root only",
        "parked",
        "person waits for EC2 in vain 1",
        "person backs up 11",
        "person modifies a volume 7",
        "begin start",
        "fault VOLUME_FAILS",
        "go c 7",
        lag=Lag(60.0, seed=50316385, share=20),
        tags_count_after=8,
    ),
    "a copy made after the commit, which somebody locks in compliance mode, needs no lock of ours": story(
        "two volumes",
        "committed",
        "person retags a volume 11",
        "begin park",
        "go c 9",
        "person locks a snapshot for good 5",
    ),
    "a snapshot of a moment in which DeleteOnTermination was switched is discarded with the others": story(
        "two volumes",
        "copied",
        "person switches a flag 1",
        "begin park 0",
        "go a 12",
        "person switches a flag 5",
    ),
    "a volume that failed is created anew, though somebody has written another tag on its snapshot": story(
        "one volume",
        "committed",
        "begin start 0",
        "fault VOLUME_FAILS 0",
        "go c 7",
        "person tags a snapshot 3",
    ),
}

TRANSITIONS: tuple[Story, ...] = (
    story("two volumes", "locked", "person deletes a locked snapshot 0"),
    story("one volume", "locked", "person deletes a locked snapshot 0"),
    story("two volumes", "committed", "person deletes a locked snapshot 0"),
    story("one volume", "tried", "begin park", "go a 15", "wait 1", "person terminates"),
    story("one volume", "tried", "begin park", "go a 15", "wait 1", "finish a"),
    story(
        "one volume",
        "copied",
        "person detaches 10",
        "wait 1",
        "begin park",
        "go c 2",
        "go b 8",
        lag=Lag(60.0, seed=5139),
    ),
    story("one volume", "committed", "begin start", "fault VOLUME_FAILS", "go c 7"),
    story("two volumes", "parked", "person attaches another 11", "wait 61", "person detaches 7"),
    story("two volumes", "committed", "person attaches another 5", "wait 1", "person detaches 5"),
    story("one volume", "half restored", "person attaches 10", "wait 61", "person detaches 4"),
    story("one volume", "stopped", "person detaches 4", "wait 10", "person terminates"),
    story("two volumes", "committed", "person terminates"),
    story("one volume", "locked", "person terminates"),
    story("one volume", "parked", "person terminates"),
    story("two volumes", "half restored", "person deletes a locked snapshot 0"),
    story("one volume", "half restored", "person terminates"),
    story("one volume", "tried", "begin park", "go a 15", "wait 1", "person deletes a locked snapshot 0"),
    story("two volumes", "locked", "wait 5", "begin park", "go a 8", "person retags a volume 2", "finish a"),
)
"""Stories of transitions that random ones hardly ever see."""
