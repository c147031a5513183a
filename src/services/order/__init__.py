"""The order service: what customers buy, over gRPC and REST, by way of inventory and payment."""
