"""A network that knows its task: what tells tasks apart, where it enters the blocks, learning to learn."""
