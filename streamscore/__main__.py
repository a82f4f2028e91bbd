"""`python -m streamscore` is the `streamscore` command."""

from streamscore.cli import main

if __name__ == "__main__":
    main()
