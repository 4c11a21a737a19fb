"""The pages in HTML: consents, and the reference of the HTTP interface."""
