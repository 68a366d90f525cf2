"""Speech translation recipes on ESPnet: data, models, search, scoring."""

__version__ = "0.1.0"
