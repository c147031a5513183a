"""The inventory service: items, their stock and its reservations, over gRPC and REST."""
