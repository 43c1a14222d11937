"""Documents about the API: discovery, OpenAPI, version, the issuer of service-account tokens."""
