"""Storage of products; the only package that knows DynamoDB."""
