"""``make demo``: the whole story on a local AWS, from ``terraform apply`` to ``destroy``, and the proof of it."""
