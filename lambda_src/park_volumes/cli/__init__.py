"""The command line: makes the functions' decisions on a laptop, without the module deployed."""
