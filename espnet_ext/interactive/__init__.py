"""Interactive learning (docs/interactive.md): transcript and translation in step, each reading the other."""
