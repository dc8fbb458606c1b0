"""The command line: the decisions of the functions, made on a laptop, with nothing of the module deployed."""
