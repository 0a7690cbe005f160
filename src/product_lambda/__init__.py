"""The product catalogue of the Customer Portal: five Lambda functions behind one REST API."""
