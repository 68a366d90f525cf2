"""Translation that is written while its source comes in, by a translator of whole sentences."""
