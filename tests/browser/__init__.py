"""The page in a real browser, on the deployed module on the local AWS."""
