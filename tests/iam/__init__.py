"""Judges what the deployed functions did against what their roles allow: a small, strict evaluator of IAM policies."""
