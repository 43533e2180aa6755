"""The library of this project: ``core`` decides, ``host`` touches the machine."""
