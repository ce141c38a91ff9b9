"""`python -m longcat_eval` is the same as `longcat-eval`."""

from longcat_eval.cli.main import main

if __name__ == "__main__":
    main()
