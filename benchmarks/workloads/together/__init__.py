"""What is measured of programs that wait and work, one file a group: a program is given a `together.Served`."""

GROUPS = ("requests",)
