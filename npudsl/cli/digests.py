"""One fresh run of a step, for ``--check-determinism``: prints what it made, and what the cache holds, as JSON."""

from __future__ import annotations

import json
import sys

from npudsl.cli.guard import guarded
from npudsl.cli.main import limit_threads


def main() -> int:
    """Arguments: program, step, number of workers, NAME=FOLDER roots."""
    program, step, jobs, *roots = sys.argv[1:]
    limit_threads()

    def work() -> int:
        from npudsl.api.determinism import fresh_digests
        from npudsl.cli.programs import parsed_roots

        print(json.dumps(fresh_digests(program, step, jobs=int(jobs), roots=parsed_roots(roots))))
        return 0

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
