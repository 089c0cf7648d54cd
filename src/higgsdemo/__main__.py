"""`python -m higgsdemo` is `higgsdemo`."""

from higgsdemo.cli.main import main

main()
