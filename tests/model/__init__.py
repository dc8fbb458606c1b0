"""The strict EC2 model: EC2 in memory, with a clock that only the test moves."""
