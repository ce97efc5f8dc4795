"""The figures of metrics-query, worked out independently: samples, one pass over them, the answers that follow."""
