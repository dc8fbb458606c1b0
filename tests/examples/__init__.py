"""Every example, applied unchanged on the local AWS."""
