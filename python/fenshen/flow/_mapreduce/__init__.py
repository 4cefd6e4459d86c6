"""The parts of `map_reduce`: sources, grouping in a worker, runs between workers, and one file for each engine."""
