"""The exploration of every crash, race and hostile event, on the strict EC2 model. See docs/safety.md."""
