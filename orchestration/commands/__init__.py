"""The command line, a module for each thing a person does. A command parses, calls and prints; it decides nothing."""
