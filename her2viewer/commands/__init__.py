"""The sub-commands of ``her2viewer``, one module each with ``main(argv) -> int``."""
