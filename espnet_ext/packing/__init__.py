"""One file that holds a trained system: writing it, and reading it as what a stranger may have made."""
