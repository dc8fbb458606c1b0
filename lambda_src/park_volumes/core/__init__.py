"""The decisions: pure functions of what was observed, the settings and the time. No AWS, no clock."""
