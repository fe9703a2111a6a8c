"""What the benchmarks share: programs are run and weighed, medians printed as a table, kept as JSON,
compared with an earlier run.

A benchmark is a script tests/bench/NAME.py that `./mill bench NAME` runs. Its first docstring line is
what the help prints; a comment line `# mill: WORD..` says what it needs: `kafka` for a broker,
`bench_FILE` for a program made from tests/bench/FILE.c. A result is a list of rows, each a dict with a
"name" and figures; figures are in the unit that their name ends with.
"""

import argparse
import http.client
import json
import os
import platform
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.02
POLL_S = 0.1
BUSY_CORES = 0.1  # above this figures say little


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


# --- the machine ------------------------------------------------------------------------------------


def process_cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def process_memory_mb(pid):
    """Resident now: all of it, and what is backed by no file."""
    with open(f"/proc/{pid}/status") as f:
        text = f.read()
    rss, anon = (re.search(rf"^{name}:\s+(\d+) kB", text, re.M) for name in ("VmRSS", "RssAnon"))
    return (int(rss.group(1)) / 1024, int(anon.group(1)) / 1024) if rss and anon else (0.0, 0.0)


def process_peak_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1)) / 1024


def machine_busy_s():
    with open("/proc/stat") as f:
        user, nice, system, idle, wait, irq, soft = (int(x) for x in f.readline().split()[1:8])
    return (user + nice + system + irq + soft) / TICKS


def http_get(port, path):
    """Status and body; None: nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body
    except OSError:
        return None, ""


def metric(text, name):
    values = re.findall(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.M)
    return sum(float(v) for v in values)


# --- weighing ---------------------------------------------------------------------------------------


class Child:
    """A running program, as a child of tests/bench/weigh.c: one that this script starts itself would
    count the script's memory as its own. Looks like a Popen."""

    def __init__(self, helper, command, **popen):
        self.args, self.returncode, self.usage = command, None, None
        report, told = os.pipe()
        self.helper = subprocess.Popen([helper, str(told), *command], pass_fds=[told], **popen)
        os.close(told)
        self.stdout = self.helper.stdout
        self.report = os.fdopen(report)
        pid = self.report.readline()
        if not pid:
            sys.exit(f"bench: {helper} cannot start {command[0]}")
        self.pid = int(pid)

    def poll(self):
        if self.returncode is None and select.select([self.report], [], [], 0)[0]:
            said = self.report.readline().split()
            self.helper.wait()
            if len(said) != 4:
                sys.exit(f"bench: {self.args[0]} got lost")
            self.returncode = os.waitstatus_to_exitcode(int(said[0]))
            self.usage = Usage(float(said[1]) + float(said[2]), int(said[3]) / 1024)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Usage:
    def __init__(self, cpu_s, peak_mb):
        self.cpu_s, self.peak_mb = cpu_s, peak_mb


class Weighed:
    """A running program with what it costs. `figures()` once it has ended or is not needed any more."""

    helper = None  # Bench says where it is

    def __init__(self, command, brokers=(), **popen):
        self.brokers = brokers
        self.broker_s = sum(process_cpu_s(pid) for pid in brokers)
        self.busy_s = machine_busy_s()
        self.began = time.monotonic()
        self.anon_mb = 0.0
        popen.setdefault("stdin", subprocess.DEVNULL)
        self.process = Child(self.helper, command, **popen)
        self.ended = threading.Event()
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()

    def sample(self):
        while not self.ended.wait(SAMPLE_S):
            try:
                self.anon_mb = max(self.anon_mb, process_memory_mb(self.process.pid)[1])
            except OSError:
                return

    def wait(self, timeout_s):
        """Its exit status; it is killed when it takes longer."""
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
                sys.exit(f"bench: {self.process.args[0]} did not end within {timeout_s} s")
            select.select([self.process.report], [], [], POLL_S)
        self.seconds = time.monotonic() - self.began
        self.ended.set()
        self.usage = self.process.usage
        return self.process.returncode

    def figures(self):
        cpu_s = self.usage.cpu_s
        broker_s = sum(process_cpu_s(pid) for pid in self.brokers) - self.broker_s
        busy_s = machine_busy_s() - self.busy_s - cpu_s - broker_s
        return {"seconds": self.seconds, "cpu_s": cpu_s, "broker_cpu_s": broker_s,
                "peak_mb": self.usage.peak_mb, "peak_anon_mb": self.anon_mb,
                "others_cores": max(0.0, busy_s / self.seconds)}


def run(command, brokers=(), timeout_s=600, **popen):
    """Runs a program to its end: its figures, and what it printed."""
    popen.setdefault("stdout", subprocess.PIPE)
    weighed = Weighed(command, brokers, **popen)
    output = weighed.process.stdout.read() if weighed.process.stdout else b""
    if weighed.wait(timeout_s) != 0:
        sys.exit(f"bench: {' '.join(command)}: exit code {weighed.process.returncode}")
    return weighed.figures(), output.decode()


# --- results ----------------------------------------------------------------------------------------


def median_of(runs):
    """Medians of every figure of several runs of one thing; texts are those of the first."""
    return {key: statistics.median(r[key] for r in runs) if isinstance(value, (int, float)) else value
            for key, value in runs[0].items()}


class Column:
    """One figure of the table. better: -1 when less is better, 1 when more is, 0: not compared."""

    def __init__(self, key, title, form="{:.2f}", better=0, scale=1.0):
        self.key, self.title, self.form, self.better, self.scale = key, title, form, better, scale

    def cell(self, row):
        value = row.get(self.key)
        return "-" if value is None else self.form.format(value * self.scale)


SPEED = [Column("per_s", "M/s", "{:.2f}", 1, 1e-6), Column("times_raw", "of raw", "{:.2f}", 1),
         Column("cpu_s_per_m", "CPU-s/M", "{:.3f}", -1), Column("peak_mb", "RSS MB", "{:.0f}", -1),
         Column("others_cores", "others", "{:.2f}")]


def table(rows, columns):
    cells = [[""] + [c.title for c in columns]]
    cells += [[row["name"]] + [c.cell(row) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        print(line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:])), sep="  ")


def compare(rows, columns, old_file):
    with open(old_file) as f:
        old = {row["name"]: row for row in json.load(f)["rows"]}
    columns = [c for c in columns if c.better]
    print(f"\nnew / {old_file} (" +
          ", ".join(f"{c.title}: {'more' if c.better > 0 else 'less'} is better" for c in columns) + ")")
    ratios = []
    for row in rows:
        before = old.get(row["name"], {})
        ratios.append({"name": row["name"],
                       **{c.key: row[c.key] / before[c.key] for c in columns
                          if row.get(c.key) is not None and before.get(c.key)}})
    table(ratios, [Column(c.key, c.title) for c in columns])


def parser(description):
    """The options that every benchmark takes; `./mill bench` gives the first ones."""
    made = argparse.ArgumentParser(
        prog="./mill bench " + os.path.basename(sys.argv[0]).removesuffix(".py"),
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--binary", "--tools", "--work", "--broker-pids"):
        made.add_argument(option, default="", help=argparse.SUPPRESS)
    made.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    made.add_argument("--kafka", default="", metavar="HOST:PORT",
                      help="a broker that is there; default: one is started for it")
    made.add_argument("--repeat", type=int, default=5, metavar="N",
                      help="runs of each kind; medians are shown (default 5)")
    made.add_argument("--json", metavar="FILE", help="the figures for programs")
    made.add_argument("--compare", metavar="FILE", help="against the --json of an earlier run")
    made.add_argument("--keep", action="store_true", help="leave the folder of the run")
    return made


class Bench:
    """One benchmark at work: its folder, its broker, its result."""

    def __init__(self, made):
        self.args = made.parse_args()
        self.name = os.path.basename(sys.argv[0]).removesuffix(".py")
        self.work = os.path.abspath(self.args.work)
        self.brokers = [int(pid) for pid in self.args.broker_pids.split(",") if pid]
        self.load = os.getloadavg()[0]
        Weighed.helper = self.tool("weigh")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)

    def tool(self, name):
        return os.path.join(self.args.tools, f"bench_{name}")

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def finish(self, rows, columns, title, notes="", **facts):
        """Prints, keeps and compares; the folder of the run goes."""
        args = self.args
        print(f"{title}; {os.cpu_count()} cores, load {self.load:.1f} before, "
              f"{os.getloadavg()[0]:.1f} after")
        table(rows, columns)
        print(notes + ("\n" if notes else "") +
              "others: cores that were busy with neither the program nor the broker.")
        busiest = max((row.get("others_cores") or 0 for row in rows), default=0)
        if busiest > BUSY_CORES:
            print(f"warning: up to {busiest:.1f} cores were busy with something else; these figures "
                  "say little")
        if args.json:
            with open(args.json, "w") as f:
                json.dump({"bench": self.name, "repeat": args.repeat, "cores": os.cpu_count(),
                           "machine": platform.processor() or platform.machine(),
                           "load_before": self.load, "load_after": os.getloadavg()[0],
                           "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                           **facts, "rows": rows}, f, indent=1)
        if args.compare:
            compare(rows, columns, args.compare)
        if not args.keep:
            shutil.rmtree(self.work)
