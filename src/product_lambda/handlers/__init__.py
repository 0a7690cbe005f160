"""One module per Lambda function: HTTP in, HTTP out, no rules."""
