"""The deployed module with function_url_auth TOKEN: its open URL, and its page in a real browser."""
