"""The command line: parses, composes the rooms, prints. One file a command group."""
