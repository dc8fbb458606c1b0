"""The entry points of the two Lambdas: parse, call, answer."""
