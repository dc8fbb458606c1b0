"""What runs in an instance: it writes bytes, sums them up at every boot, and tells the sums on its console."""

from __future__ import annotations

import re
from collections.abc import Mapping

TOLD = re.compile(r"PARK-VOLUMES-LIVE boot=(?P<boot>\d+) device=(?P<device>root|data) sum=(?P<sum>[0-9a-f]+) end")
LIVES_MINUTES = 115
"""After so long an instance shuts down, whatever has become of the run that made it."""
SHORT_LIVED = f"#!/bin/sh\nsystemd-run --on-active={LIVES_MINUTES}min systemctl poweroff\n"
"""User data of an instance that does nothing."""
WRITES = f"""#cloud-boothook
#!/bin/sh
# At the first boot this writes 64 MiB to a file on the root volume and to the data volume. At every boot it reads that
# file and the whole data volume. The number of the boot is on the root volume, too.
exec >/dev/console 2>&1
systemd-run --on-active={LIVES_MINUTES}min systemctl poweroff
root=$(lsblk -no PKNAME "$(findmnt -no SOURCE /)" | head -n 1)
data=$(lsblk -dno NAME | grep -E '^(nvme|xvd|sd)' | grep -vx "$root" | head -n 1)
kept=/var/lib/park-volumes-live
mkdir -p $kept
if [ ! -e $kept/boot ]; then
  head -c 67108864 /dev/urandom >$kept/bytes
  head -c 67108864 /dev/urandom | dd of=/dev/$data bs=1M iflag=fullblock conv=fsync 2>/dev/null
  echo 0 >$kept/boot
fi
boot=$(($(cat $kept/boot) + 1))
echo $boot >$kept/boot
sync
of_root=$(sha256sum <$kept/bytes | cut -d ' ' -f 1)
of_data=$(sha256sum </dev/$data | cut -d ' ' -f 1)
for again in 1 2 3; do # the kernel may write in between
  echo "PARK-VOLUMES-LIVE boot=$boot device=root sum=$of_root end"
  echo "PARK-VOLUMES-LIVE boot=$boot device=data sum=$of_data end"
done
"""


def line(boot: int, device: str, total: str) -> str:
    """What is told of one device."""
    return f"PARK-VOLUMES-LIVE boot={boot} device={device} sum={total} end"


def sums(console: str, boot: int) -> Mapping[str, str]:
    """Device (root or data) to the sum of its bytes, as told at that boot; empty before both are told."""
    found = {m["device"]: m["sum"] for m in TOLD.finditer(console) if int(m["boot"]) == boot}
    return found if len(found) == 2 else {}
