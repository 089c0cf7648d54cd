"""What people look at: figures, terminal tables and progress."""
