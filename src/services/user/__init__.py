"""The user service: people, how to reach them and what they may do, over gRPC and REST."""
