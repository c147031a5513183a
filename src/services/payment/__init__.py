"""The payment service: charges of cards, over gRPC and REST."""
