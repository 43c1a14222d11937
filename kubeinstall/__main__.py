"""`python -m kubeinstall`: the same as the `kubeinstall` command."""

from kubeinstall.cli.main import main

if __name__ == "__main__":
    main()
