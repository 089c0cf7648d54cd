"""What several commands share: options and their meaning, where to write, how a run ends."""
