"""What adapts ESPnet: its task interface, its encoders mended, its experiments read."""
