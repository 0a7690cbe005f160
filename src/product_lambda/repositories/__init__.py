"""Storage of the catalogue; the only package that knows DynamoDB."""
