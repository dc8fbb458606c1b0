"""ParkVolumes: the volumes of a stopped EC2 instance become snapshots, and volumes again when it is started."""

__version__ = "0.1.0"
