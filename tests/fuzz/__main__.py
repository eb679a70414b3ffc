"""
`make fuzz`: each target for a while with atheris, which looks for inputs that take new ways through our code; and the API of a running
gateway with schemathesis, from its own OpenAPI. What is found in a target is written to `tests/fuzz/found/TARGET/`, fails this run,
and is a test from then on.

`FUZZ_SECONDS=600 python -m tests.fuzz [TARGET ...]`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOUND = Path(__file__).parent / "found"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))
SLOWEST = 1.0  # seconds for one input


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """One target, in this process: it ends with an error where one is found."""
    import atheris  # noqa: PLC0415 - only here, and only where it is installed

    with atheris.instrument_imports(include=["gateway"]):
        from .targets import TARGETS  # noqa: PLC0415 - instrumented

    def once(data: bytes) -> None:
        began = time.thread_time()
        try:
            TARGETS[name](data)
            assert time.thread_time() - began < SLOWEST, "it took too long"
        except BaseException:
            (FOUND / name).mkdir(parents=True, exist_ok=True)
            (FOUND / name / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            raise

    options = [f"-max_total_time={seconds}", f"-artifact_prefix={corpus}/", "-max_len=4096", "-verbosity=0", "-timeout=10"]
    atheris.Setup([sys.argv[0], str(corpus), *options], once)
    atheris.Fuzz()


def main(names: list[str]) -> int:
    """Each target in a process of its own; 1 if anything was found."""
    from .targets import SEEDS, TARGETS  # noqa: PLC0415 - the children instrument it

    chosen, failed = names or list(TARGETS), []
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="gateway-fuzz-") as folder:
            for number, seed in enumerate(SEEDS[name]):
                (Path(folder) / str(number)).write_bytes(seed)
            seconds = max(1, SECONDS // len(chosen))
            command = [sys.executable, "-m", "tests.fuzz", "--one", name, str(seconds), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            inputs = len(list(Path(folder).iterdir()))
        print(f"{'FOUND' if done.returncode else 'fine':6} {name:10} {seconds} s, {inputs} inputs worth keeping", flush=True)
        if done.returncode:
            failed.append(name)
            print("\n".join(done.stderr.splitlines()[-25:]))
    if not names and not api():
        failed.append("api")
    return 1 if failed else 0


def api() -> bool:
    """Whether no call of the API, however odd, makes the gateway fail, and none is answered without the token."""
    from tests.e2e.stand import ADMIN, Gateway  # noqa: PLC0415 - only here

    with tempfile.TemporaryDirectory(prefix="gateway-fuzz-") as folder, Gateway(Path(folder)) as gateway:
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{gateway.url}/api/v1/openapi.json"]
        options = ["--checks", "not_a_server_error,ignored_auth", "--max-examples", str(max(5, SECONDS // 2)), "--no-color"]
        done = subprocess.run(
            [*command, *options, "--header", f"Authorization: Bearer {ADMIN}"], capture_output=True, text=True, check=False
        )
    print(f"{'FOUND' if done.returncode else 'fine':6} the API")
    if done.returncode:
        print(done.stdout[-3000:])
    return done.returncode == 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        fuzz(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        sys.exit(main(sys.argv[1:]))
