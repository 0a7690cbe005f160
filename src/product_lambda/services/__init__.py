"""The rules of the catalogue; they know neither HTTP nor DynamoDB."""
