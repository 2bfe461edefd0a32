"""A camera, or a video as if it were one: its newest frame is read, steadied and shown."""
