"""The decisions: pure functions of what was seen, the settings and the time; no AWS, no clock."""
