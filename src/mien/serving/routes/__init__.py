"""Routes that read a request, ask the service, and answer."""
