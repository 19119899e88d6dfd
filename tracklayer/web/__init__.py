"""The other doors beside GraphQL."""
