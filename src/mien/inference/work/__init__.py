"""Where a long prediction keeps what it has, so that it can go on after any end."""
