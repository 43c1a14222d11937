"""The `kubeinstall` command: picks the fast way for processes, Typer for people."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:3] in (["component", "run"], ["component", "supervise"]):
        # Long-running processes: they must not carry the command line's libraries in memory.
        from kubeinstall.cli.process import run_process

        sys.exit(run_process(sys.argv[2], sys.argv[3:]))
    from kubeinstall.cli.app import app, report
    from kubeinstall.errors import KubeinstallError

    try:
        app(prog_name="kubeinstall")
    except KubeinstallError as error:
        sys.exit(report(error))
    except KeyboardInterrupt as interrupt:
        sys.exit(_interrupted(interrupt))
    except SystemExit as end:
        # Typer makes a wordless exit of Ctrl-C: what was interrupted is the cause of the cause.
        cause = end.__context__ and end.__context__.__cause__
        if isinstance(cause, KeyboardInterrupt):
            sys.exit(_interrupted(cause))
        raise
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is wrong, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    """Say what to do after Ctrl-C, and where the log is if that is known; the exit code."""
    more = f" ({interrupt})" if interrupt.args else ""
    sys.stderr.write(f"\ninterrupted; run the same command again to finish{more}\n")
    return 130
