"""ParkVolumes: the volumes of a stopped EC2 instance become snapshots, and volumes again when it is started."""

__version__ = "1.0.0"
