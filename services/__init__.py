"""Wiki Battlefield's services: each folder is one step of the data's way."""

__version__ = "0.1.0"
