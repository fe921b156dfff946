"""The console in Firefox, which speaks WebDriver BiDi: what a browser of another make could have wrong."""
from test_console import Connection, Entry, Places  # noqa: F401
from harness import main

if __name__ == "__main__":
    main()
