"""The terminal: arguments, environment, exit codes, progress. The only room that prints."""
