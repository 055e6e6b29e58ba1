"""`python -m services` is `battlefield`, also where the console command is not on the PATH."""

from services.cli import main

main()
