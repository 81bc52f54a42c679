"""The command line, one module for each thing a person is doing. A command parses, calls and prints; it decides nothing."""
