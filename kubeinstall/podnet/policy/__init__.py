"""NetworkPolicy in nftables: what is wanted (`compile`), and how it gets into the kernel (`enforce`)."""
