"""Values of the catalogue: products, pages, request bodies. They do no input or output."""
