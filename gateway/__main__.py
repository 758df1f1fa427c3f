"""`python -m gateway` is `suimon`."""

from gateway.cli.main import run

if __name__ == "__main__":
    run()
