"""What every command stands on: files that are whole or absent, and jobs over shards."""
