"""``python -m restpoint.cli`` is the ``restpoint`` command."""

from restpoint.cli import main

if __name__ == "__main__":
    main()
