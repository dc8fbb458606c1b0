"""Observe, decide, do: what both Lambdas do with the instances in a batch of events. Then they stop.

An event says only which instance to look at, never what is true. Nothing here waits for minutes: a decision that
cannot continue says when to look again, and an event, a delayed message or the sweep comes back."""
