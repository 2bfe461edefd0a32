"""Arrays in, documents out: metrics, intervals, reports. Knows no network."""
