#!/usr/bin/env python3
"""Programs are weighed as they are, whoever weighs them: measure_test.py BENCH_WEIGH"""

import signal
import subprocess
import sys

import measure

MB = 1 << 20
PYTHON = [sys.executable, "-c"]


def weighed(*command, **popen):
    """Exit status and figures."""
    run = measure.Weighed(list(command), **popen)
    return run.wait(60), run.figures()


def main():
    measure.Weighed.helper = sys.argv[1]
    ours = bytearray(200 * MB)  # what a program would have if it counted this script's
    status, small = weighed("true")
    assert status == 0 and small["peak_mb"] < 50, small
    status, large = weighed(*PYTHON, "x = bytearray(b'1') * (60 << 20)")
    assert status == 0 and 60 < large["peak_mb"] < 120, large
    assert len(ours) == 200 * MB

    status, busy = weighed(*PYTHON, "import time\nwhile time.process_time() < 0.3: pass")
    assert status == 0 and 0.3 <= busy["cpu_s"] < 3, busy
    assert busy["seconds"] >= 0.3, busy

    assert weighed("false")[0] == 1
    assert weighed("/there/is/no/such/program", stderr=subprocess.DEVNULL)[0] == 127
    figures, output = measure.run(["echo", "one two"])
    assert output == "one two\n" and figures["seconds"] > 0, (output, figures)

    run = measure.Weighed(["sleep", "60"])
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGTERM)
    assert run.wait(60) == -signal.SIGTERM and run.process.poll() == -signal.SIGTERM
    run = measure.Weighed(["sleep", "60"])
    try:
        run.wait(0.05)
    except SystemExit as end:
        assert "did not end within" in str(end), end
    else:
        raise AssertionError("a program may take as long as it likes")
    while run.process.poll() is None:
        pass
    assert run.process.returncode == -signal.SIGKILL, run.process.returncode
    print("measure_test.py: programs are weighed as they are")


if __name__ == "__main__":
    main()
