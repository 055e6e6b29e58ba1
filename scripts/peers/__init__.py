"""The peers' half of `make bench-peers`: the same job in Bytewax and in Spark Structured Streaming."""
