"""`python -m orchestration`: the command `tailrace` for a child process of ours."""

from orchestration.cli import main

if __name__ == "__main__":
    main()
