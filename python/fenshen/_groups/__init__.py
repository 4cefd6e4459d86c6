"""What `fenshen.TaskGroup` is made of."""
