"""The HTTP service: what people and providers reach. It writes landing files and the journal, never the warehouse."""
