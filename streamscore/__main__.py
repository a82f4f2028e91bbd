"""`python -m streamscore` is the `streamscore` command."""

from streamscore.cli.main import main

if __name__ == "__main__":
    main()
